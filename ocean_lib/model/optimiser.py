"""Muon, the optimiser of a network's matrices: momentum whose singular values are all made alike.

A gradient of a matrix is dominated by a few directions; made orthogonal, the rare ones are learned
as fast.  Biases, norms and depthwise kernels, which mix nothing, stay with AdamW.

Reference: Jordan et al. 2024, https://kellerjordan.github.io/posts/muon; Liu et al. 2025, arXiv
2502.16982 (size of the update).
"""

import torch
from torch import Tensor, nn

__all__ = ["Muon", "mixing_weights", "make_optimisers", "orthogonal"]


NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)  # of the quintic that brings singular values near 1
SIZE = 0.5  # root mean square of an update, in learning rates
DECAY = 0.1  # of weights, in learning rates; months are few, and networks would know them by heart


def orthogonal(matrices: Tensor, steps: int = 5) -> Tensor:
    """Matrices (K, M, N) with singular values between about 0.7 and 1.2, by Newton–Schulz."""
    first, third, fifth = NEWTON_SCHULZ
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if tall else matrices
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7)
    for _ in range(steps):
        square = x @ x.mT
        x = first * x + torch.baddbmm(square, square, square, beta=third, alpha=fifth) @ x
    return x.mT if tall else x


def mixing_weights(network: nn.Module) -> list[nn.Parameter]:
    """The weights that mix channels, of linear layers and of convolutions in one group."""
    mixing = [each for each in network.modules() if isinstance(each, (nn.Linear, nn.Conv2d))]
    return [each.weight for each in mixing if getattr(each, "groups", 1) == 1]


class Muon(torch.optim.Optimizer):
    """Parameters (M, ...), each taken as a matrix (M, N) of its rows; Nesterov momentum.

    In float32, which on a CPU is several times as fast as the bfloat16 of `torch.optim.Muon`.

    Args:
        lr: learning rate, in units of AdamW's.    decay: of weights, decoupled.
    """

    def __init__(self, params, *, lr: float, momentum: float = 0.95, decay: float = DECAY):
        super().__init__(params, {"lr": lr, "momentum": momentum, "decay": decay})

    @torch.no_grad()
    def step(self) -> None:
        for group in self.param_groups:
            rate, momentum = group["lr"], group["momentum"]
            alike: dict[tuple[int, int], list[Tensor]] = {}  # by shape, made orthogonal together
            for weight in group["params"]:
                alike.setdefault((len(weight), weight[0].numel()), []).append(weight)
            for shape, weights in alike.items():
                ahead = torch.stack([self._ahead(each, momentum).flatten(1) for each in weights])
                size = SIZE * max(shape) ** 0.5
                for weight, update in zip(weights, orthogonal(ahead)):
                    weight.mul_(1 - rate * group["decay"])
                    weight.add_(update.view_as(weight), alpha=-rate * size)

    def _ahead(self, weight: Tensor, momentum: float) -> Tensor:
        state = self.state[weight]
        if not state:
            state["mean"] = torch.zeros_like(weight)
        mean = state["mean"].lerp_(weight.grad, 1 - momentum)
        return weight.grad.lerp(mean, momentum)


def make_optimisers(network: nn.Module, learning_rate: float) -> list[torch.optim.Optimizer]:
    """AdamW and Muon, which together step all weights of a network."""
    mixing = mixing_weights(network)
    taken = {id(weight) for weight in mixing}
    rest = [weight for weight in network.parameters() if id(weight) not in taken]
    adam = torch.optim.AdamW(rest, lr=learning_rate, weight_decay=DECAY, fused=True)
    return [adam, Muon(mixing, lr=learning_rate)]
