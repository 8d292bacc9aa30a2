"""The noise process, the network's target in it, and the weighted loss.

    x_t = a_t x_0 + s_t n,   a_t² + s_t² = 1,   t = 0 … T-1

`v` (a n - s x_0) and `x0` end in pure noise: the schedule is rescaled so that a is exactly 0 at
T-1, and sampling starts from the noise that training ends in.  `epsilon` cannot be inverted there;
it keeps a little signal at the last step, and sampling starts from that mixture.

Reference: Ho et al. 2020, arXiv 2006.11239; Nichol & Dhariwal 2021, arXiv 2102.09672 (cosine);
Salimans & Ho 2022, arXiv 2202.00512 (v); Lin et al. 2024, arXiv 2305.08891 (zero terminal signal);
Hang et al. 2023, arXiv 2303.09556 (min-SNR weighting).
"""

import math

import torch
from torch import Tensor

__all__ = ["Diffusion", "PARAMETRISATIONS", "masked_mean"]


PARAMETRISATIONS = ("v", "epsilon", "x0")
MAX_STEPS = 100_000


def masked_mean(loss: Tensor, where: Tensor) -> Tensor:
    """Mean of `loss` over `where`; 0, with zero gradients, if `where` is all False."""
    return torch.where(where, loss, 0.0).sum() / where.sum().clamp(min=1)


class Diffusion:
    """Cosine noise process with T steps.

    Args:
        parametrisation: what the network predicts: `v`, `epsilon` or `x0`.
        steps: T.
        gamma: min-SNR γ, see `weight`.

    Raises:
        ValueError: the parametrisation is not known, or a number is outside its range.
    """

    def __init__(self, parametrisation: str = "v", steps: int = 1000, gamma: float = 5.0):
        if parametrisation not in PARAMETRISATIONS:
            raise ValueError(
                f"parametrisation {parametrisation!r} is not known; choose one of "
                f"{PARAMETRISATIONS}"
            )
        if not 1 < steps <= MAX_STEPS or not 0 < gamma < math.inf:
            raise ValueError(
                f"the noise process has {steps} steps and gamma {gamma}; choose 2 to {MAX_STEPS} "
                "steps, and a positive gamma"
            )
        self.parametrisation, self.steps, self.gamma = parametrisation, steps, gamma
        time = torch.arange(steps, dtype=torch.float64) + 1
        shift = 0.008
        angle = (time / steps + shift) / (1 + shift) * math.pi / 2
        signal = (angle.cos() / math.cos(shift / (1 + shift) * math.pi / 2)).clamp(0, 1)
        # For epsilon a² ends at 1e-4: enough to turn n into x_0, too little to be visible.
        first, last, end = signal[0], signal[-1], 1e-2 if parametrisation == "epsilon" else 0.0
        signal = end + (signal - last) * (first - end) / (first - last)
        self.signal = signal.float()
        self.noise = (1 - signal**2).sqrt().float()

    def settings(self) -> dict:
        """Arguments that make the same process again."""
        return {"parametrisation": self.parametrisation, "steps": self.steps, "gamma": self.gamma}

    def rates(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """a_t and s_t, (B, 1, 1, 1) each, at integer times t (B,)."""
        view = (-1, 1, 1, 1)
        signal, noise = self.signal.to(t.device)[t], self.noise.to(t.device)[t]
        return signal.view(view), noise.view(view)

    def add_noise(self, x0: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """x_t (B, ...) from x_0 and unit noise at times t (B,)."""
        a, s = self.rates(t)
        return a * x0 + s * noise

    def target(self, x0: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """The value that the network should predict, (B, D, H, W)."""
        a, s = self.rates(t)
        if self.parametrisation == "v":
            return a * noise - s * x0
        return noise if self.parametrisation == "epsilon" else x0

    def x0(self, prediction: Tensor, x: Tensor, t: Tensor) -> Tensor:
        """The x_0 (B, D, H, W) that a prediction at x_t implies."""
        a, s = self.rates(t)
        if self.parametrisation == "v":
            return a * x - s * prediction
        return (x - s * prediction) / a if self.parametrisation == "epsilon" else prediction

    def weight(self, t: Tensor) -> Tensor:
        """Loss weight (B, 1, 1, 1): equivalent to a weight of min(SNR, γ) on the error of x_0.

        For `v` and `x0` it is min(SNR + 1, γ): their process ends in pure noise, where SNR is 0,
        and with weight 0 the prediction that every sample starts from would never be trained.
        """
        a, s = self.rates(t)
        snr = (a / s) ** 2
        if self.parametrisation == "epsilon":
            return snr.clamp(max=self.gamma) / snr
        capped = (snr + 1).clamp(max=self.gamma)
        return capped / (snr + 1) if self.parametrisation == "v" else capped

    def loss(
        self, prediction: Tensor, x0: Tensor, noise: Tensor, t: Tensor, where: Tensor
    ) -> Tensor:
        """Mean of the weighted squared error over the cells `where`, bool (B, D, H, W)."""
        error = (prediction - self.target(x0, noise, t)) ** 2
        return masked_mean(self.weight(t) * error, where)
