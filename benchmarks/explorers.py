"""Time from moving a control of an explorer to the finished picture, beside that of a new figure.

    python -m benchmarks.explorers [--moves 12]

Needs the run of `make demo`. Every control of an explorer is moved in turn, and timed from the
change of its value to the PNG that is sent to the page; then the same picture is timed as a new
figure with its axes and coastlines. Medians are written to `benchmarks/results/explorers.md`.
"""

import argparse
import itertools
import statistics
import time
from pathlib import Path

from matplotlib.backend_bases import MouseEvent

from ocean_lib.core.atomic import atomic_write
from ocean_lib.explore import explorer
from ocean_lib.fields import reconstruction_file
from ocean_lib.model.densifier import Densifier
from ocean_lib.reconstruct import ensemble
from ocean_lib.reconstruct.sampling import Sampling
from ocean_lib.runs.paths import open_run
from ocean_lib.store.store import Store

RESULT = Path(__file__).resolve().parent / "results" / "explorers.md"


def ready(widget) -> None:
    """Render the whole picture as it is sent to the page."""
    canvas = widget.children[1]
    canvas._force_full = canvas._png_is_old = True
    assert canvas.get_diff_image()


def clicked(result, baselines, number: int):
    """The reconstruction explorer after `number` clicks on its left map."""
    widget = explorer.explore_reconstruction(result, baselines)
    canvas = widget.children[1]
    axes = canvas.figure.axes[0]
    for share in ((0.3, 0.2), (0.8, 0.7))[:number]:
        place = axes.transAxes.transform(share)
        event = MouseEvent("button_press_event", canvas, *place, 1)
        canvas.callbacks.process("button_press_event", event)
    return widget


def other(control):
    """A value of the control other than its present one."""
    if not hasattr(control, "options"):
        return (control.value + 1) % (control.max + 1)
    options = dict(control._options_full)
    return next(value for value in options.values() if value != control.value)


def seconds(act, *arguments) -> float:
    """Seconds that a call takes."""
    began = time.perf_counter()
    act(*arguments)
    return time.perf_counter() - began


def move(widget, control) -> None:
    """Change a control and render the picture."""
    control.value = other(control)
    ready(widget)


def new_figure(make) -> None:
    """Make an explorer and render its picture."""
    ready(make())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--moves", type=int, default=12)
    number = parser.parse_args().moves
    here = open_run("demo")
    result, baselines = (
        reconstruction_file.read_reconstruction(here.reconstruction),
        reconstruction_file.read_reconstruction(here.baselines),
    )
    month = Store(here.store("demo")).fields("validation", dates=[0])
    seen = reconstruction_file.observations_of_case(result, str(result["case"].values[-1])).isel(
        time=[0]
    )
    model = Densifier.load(here.checkpoint)
    steps = ensemble.denoising_steps(model, seen, 110.0, sampling=Sampling(8))
    makers = {
        "masks": lambda: explorer.explore_masks(month),
        "reconstruction": lambda: explorer.explore_reconstruction(result, baselines),
        "reconstruction, a profile open": lambda: clicked(result, baselines, 1),
        "reconstruction, a section open": lambda: clicked(result, baselines, 2),
        "denoising": lambda: explorer.explore_denoising(steps),
    }
    lines = [
        "# Response time of the explorers",
        "",
        f"`python -m benchmarks.explorers`: the demo's run, medians of {number} moves of all "
        "controls in turn and of three new figures, on 2 cores.",
        "",
        "| explorer | a move, s | slowest, s | a new figure, s | ratio |",
        "|---|--:|--:|--:|--:|",
    ]
    for name, make in makers.items():
        widget = make()
        ready(widget)
        controls = itertools.cycle(widget.children[0].children)
        moves = [seconds(move, widget, control) for control in itertools.islice(controls, number)]
        new = statistics.median(seconds(new_figure, make) for _ in range(3))
        typical = statistics.median(moves)
        lines.append(
            f"| {name} | {typical:.2f} | {max(moves):.2f} | {new:.2f} | 1/{new / typical:.1f} |"
        )
    with atomic_write(RESULT) as beside:
        beside.write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
