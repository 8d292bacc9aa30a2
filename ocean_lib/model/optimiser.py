"""Muon, an optimiser of weight matrices: momentum with all singular values made nearly equal.

The gradient of a matrix is dominated by a few directions; once it is orthogonalised, rare
directions are learned as fast.  AdamW steps the other weights: biases, norms and depthwise kernels,
which do not mix channels.

Reference: Jordan et al. 2024, https://kellerjordan.github.io/posts/muon; Liu et al. 2025, arXiv
2502.16982 (size of the update).
"""

import torch
from torch import Tensor, nn

__all__ = ["Muon", "mixing_weights", "make_optimisers", "orthogonalise"]


NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)  # quintic that brings singular values close to 1
UPDATE_SIZE = 0.5  # root mean square of an update, in learning rates
WEIGHT_DECAY = 0.1  # in learning rates; without it networks overfit the few training months


def orthogonalise(matrices: Tensor, steps: int = 5) -> Tensor:
    """Bring the singular values of matrices (K, M, N) to about 0.7–1.2, by Newton–Schulz."""
    first, third, fifth = NEWTON_SCHULZ
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if tall else matrices
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7)
    for _ in range(steps):
        square = x @ x.mT
        x = first * x + torch.baddbmm(square, square, square, beta=third, alpha=fifth) @ x
    return x.mT if tall else x


def mixing_weights(network: nn.Module) -> list[Tensor]:
    """Weights that mix channels: those of linear layers and of convolutions with one group."""
    layers = [layer for layer in network.modules() if isinstance(layer, (nn.Linear, nn.Conv2d))]
    return [layer.weight for layer in layers if getattr(layer, "groups", 1) == 1]


class Muon(torch.optim.Optimizer):
    """Muon with Nesterov momentum; a parameter (M, ...) is stepped as a matrix (M, N).

    It works in float32, which on a CPU is several times as fast as the bfloat16 of
    `torch.optim.Muon`.

    Args:
        params: the parameters to step.
        lr: learning rate, on the scale of AdamW's.
        momentum: decay of the mean gradient.
        decay: decoupled weight decay, in learning rates.
    """

    def __init__(self, params, *, lr: float, momentum: float = 0.95, decay: float = WEIGHT_DECAY):
        super().__init__(params, {"lr": lr, "momentum": momentum, "decay": decay})

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        """Update all parameters by their gradients."""
        for group in self.param_groups:
            rate, momentum = group["lr"], group["momentum"]
            by_shape: dict[tuple[int, int], list[Tensor]] = {}  # orthogonalised together
            for weight in group["params"]:
                by_shape.setdefault((len(weight), weight[0].numel()), []).append(weight)
            for shape, weights in by_shape.items():
                ahead = torch.stack([self._ahead(one, momentum).flatten(1) for one in weights])
                size = UPDATE_SIZE * max(shape) ** 0.5
                for weight, update in zip(weights, orthogonalise(ahead)):
                    weight.mul_(1 - rate * group["decay"])
                    weight.add_(update.view_as(weight), alpha=-rate * size)

    def _ahead(self, weight: Tensor, momentum: float) -> Tensor:
        """The gradient with its momentum, one step ahead."""
        assert weight.grad is not None
        state = self.state[weight]
        if not state:
            state["mean"] = torch.zeros_like(weight)
        mean = state["mean"].lerp_(weight.grad, 1 - momentum)
        return weight.grad.lerp(mean, momentum)


def make_optimisers(network: nn.Module, learning_rate: float) -> list[torch.optim.Optimizer]:
    """AdamW and Muon, in this order, which together step all weights of a network.

    Args:
        network: the network to train.
        learning_rate: of both.
    """
    mixing = mixing_weights(network)
    taken = {id(weight) for weight in mixing}
    rest = [weight for weight in network.parameters() if id(weight) not in taken]
    adam = torch.optim.AdamW(rest, lr=learning_rate, weight_decay=WEIGHT_DECAY, fused=True)
    return [adam, Muon(mixing, lr=learning_rate)]
