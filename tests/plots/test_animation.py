"""The GIF of a sample forming: its frames, and that they change into the field."""

import numpy as np
from pictured import make_reconstruction, make_steps
from PIL import Image

from ocean_lib.fields import reconstruction_file
from ocean_lib.plots import maps


def test_a_gif_has_a_frame_for_every_step_and_rests_on_the_last(tmp_path):
    reconstruction = make_reconstruction(rows=21, columns=27, members=2)
    steps = make_steps(reconstruction_file.select(reconstruction, depth=100)["truth"], n=5)
    path = maps.denoising_animation(steps, tmp_path / "forming.gif", title="100 m")
    with Image.open(path) as gif:
        assert gif.n_frames == 5 and gif.info["loop"] == 0
        frames, lasting = [], []
        for index in range(5):
            gif.seek(index)
            frames.append(np.asarray(gif.convert("RGB"), float))
            lasting.append(gif.info["duration"])
    assert lasting[:4] == [350] * 4 and lasting[4] == 2500
    apart = [abs(frame - frames[-1]).mean() for frame in frames]
    assert apart[0] > apart[2] > apart[3] > apart[4] == 0
    assert [each.name for each in tmp_path.iterdir()] == ["forming.gif"]
