"""The choices that say how ensemble members are drawn, as one argument."""

from dataclasses import dataclass

from ocean_lib.model.densifier import Densifier
from ocean_lib.model.sampling import check_sampler, timesteps

__all__ = ["Sampling"]


MIN_TILE = 8  # cells


@dataclass(frozen=True)
class Sampling:
    """How members are drawn; their number and the device are separate arguments.

    Args:
        steps: network evaluations per member, at least 1.
        sampler: one of `model.sampling.SAMPLERS`.
        seed: at least 0.  Together with the index of the date and the number of the member it
            determines the noise, so members depend neither on `chunk` nor on the ensemble size.
        tile: side of a tile in cells, at least 8; larger domains are covered by blended tiles.
        chunk: members drawn at once, at least 1; memory grows with it.

    Raises:
        ValueError: a value is outside its limits.
    """

    steps: int = 10
    sampler: str = "dpm++"
    seed: int = 0
    tile: int = 160
    chunk: int = 8

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(f"{self.steps} sampling steps asked; choose 1 or more")
        check_sampler(self.sampler)
        if self.seed < 0:
            raise ValueError(f"seed {self.seed} is negative; choose 0 or more")
        if self.tile < MIN_TILE:
            raise ValueError(f"tile {self.tile} is below {MIN_TILE} cells; choose 64 or more")
        if self.chunk < 1:
            raise ValueError(f"{self.chunk} members cannot be drawn at once; choose chunk >= 1")

    def check(self, model: Densifier, members: int) -> None:
        """Refuse a number of members or steps that this model cannot draw.

        Raises:
            ValueError: fewer than 2 members, or more steps than the noise process has.
        """
        if members < 2:
            raise ValueError(f"{members} member gives no spread; ask for at least 2")
        if model.denoiser is not None:
            timesteps(model.diffusion.steps, self.steps)
