"""What a ladder network is made of beside its encoder and decoder."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

import torch
from torch import Tensor, nn

from lit_ae.batch import Batch
from lit_ae.errors import UserError
from lit_ae.networks import MLP, Network
from lit_ae.schedules import Schedule
from lit_ae.spec import DataSpec

OverRows = Callable[[Tensor, Batch | None], tuple[Tensor, Tensor, int]]
NORMALIZATIONS = (nn.BatchNorm1d, nn.LayerNorm, nn.GroupNorm)


class Ladder(nn.Module):
    """The layers of an MLP from the input (0) to the code, and a lateral connection at each of them.

    Args:
        network: its encoder and decoder are used as they are.
        spec: the data.
        noise: standard deviation of what is added to every layer on the noisy way up.
        denoising: weights of the layers' denoising costs, from the input upwards; the last holds for all above it.

    Raises:
        UserError: for a network that is no MLP, or values that don't fit its layers.
    """

    def __init__(self, network: Network, spec: DataSpec, noise: float, denoising: list[float | Schedule]):
        super().__init__()
        if not isinstance(network, MLP):
            raise UserError("A ladder looks at every layer of an MLP: use --model.network MLP.")
        self._ways = stages(network.encoder), stages(network.decoder)  # not registered here a second time
        widths = [spec.features, *(layer.out_features for layer in network.encoder if isinstance(layer, nn.Linear))]
        self.combinators = nn.ModuleList(Combinator(width) for width in widths)
        if noise < 0 or not 1 <= len(denoising) <= len(widths):
            raise UserError(
                f"A ladder of {len(widths)} layers needs noise >= 0 and 1 to {len(widths)} weights in denoising."
            )
        every = [*denoising, *denoising[-1:] * (len(widths) - len(denoising))]
        self.weights = {f"denoising_{layer}": Schedule.of(weight) for layer, weight in enumerate(every)}
        self.noise = noise

    def both_ways_up(self, inputs: Tensor, x: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """The noisy layers of ``inputs`` and the clean ones of ``x``, ``(N, *spec.shape)`` both; the same if all is."""
        noisy = self.climb(inputs.flatten(1), self.noise)
        return noisy, self.climb(x.flatten(1)) if self.noise or inputs is not x else noisy

    def climb(self, x: Tensor, noise: float = 0.0) -> list[Tensor]:
        """x ``(N, D)`` and each stage's pre-activations ``(N, width)``, with N(0, noise²) added to each of them."""
        layers = [noisy(x, noise)]
        h = layers[0]
        with self._unobserved() if noise else nullcontext():
            for linear, after in self._ways[0]:
                layers.append(noisy(linear(h), noise))
                h = after(layers[-1])
        return layers

    def descend(self, layers: list[Tensor]) -> list[Tensor]:
        """Clean estimates of what :meth:`climb` gave, made from the code downwards, in the same order.

        The lowest is the decoder's output ``(N, outputs_per_feature * D)``; the lateral connection is to its first D.
        """
        laterals, combinators = layers[::-1], list(self.combinators)[::-1]
        h = combinators[0](laterals[0], laterals[0])
        estimates = [h]
        with self._unobserved():
            for (linear, after), lateral, combinator in zip(self._ways[1], laterals[1:], combinators[1:], strict=True):
                above, width = linear(h), lateral.shape[1]
                estimates.append(torch.cat([combinator(lateral, above[:, :width]), above[:, width:]], 1))
                h = after(estimates[-1])
        return estimates[::-1]

    def costs(
        self, clean: list[Tensor], estimates: list[Tensor], over_rows: OverRows, batch: Batch | None
    ) -> dict[str, Tensor]:
        """Half the squared error of each layer's estimate in units of its variance over the rows, summed: ``(N,)`` each
        (Rasmus et al. 2015, equation 3). That of x is the likelihood's affair.

        Args:
            clean: what the clean way up gave.
            estimates: what :meth:`descend` gave for the noisy one.
            over_rows: a layer's rows of all processes, which of them are real, and where this process's begin.
            batch: what the rows were made for; None outside of a step.
        """
        costs = {}
        for layer in range(1, len(clean)):
            every, real, _ = over_rows(clean[layer], batch)
            squares = (clean[layer] - estimates[layer]).square() / variance(every, real)
            costs[f"denoising_{layer}"] = 0.5 * squares.sum(1)
        return costs

    @contextmanager
    def _unobserved(self) -> Iterator[None]:
        """Batch normalisation gathers no running statistics: those at inference are of what inference passes."""
        layers = [layer for way in self._ways for linear, _ in way for layer in linear]
        momenta = {layer: layer.momentum for layer in layers if isinstance(layer, nn.BatchNorm1d)}
        for layer in momenta:
            layer.momentum = 0.0
        try:
            yield
        finally:
            for layer, momentum in momenta.items():
                layer.momentum = momentum


class Combinator(nn.Module):
    """The denoised value of a unit from its noisy value and what comes from above (Rasmus et al. 2015, equation 2).

    It starts out with what comes from above alone.

    Args:
        width: units of the layer.
    """

    def __init__(self, width: int):
        super().__init__()
        start = torch.tensor([0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0])
        self.a = nn.Parameter(start[:, None].repeat(1, width))

    def forward(self, lateral: Tensor, above: Tensor) -> Tensor:
        """``(N, width)`` of both kinds to ``(N, width)``."""
        a1, a2, a3, a4, a5, a6, a7, a8, a9, a10 = self.a
        mean = a1 * torch.sigmoid(a2 * above + a3) + a4 * above + a5
        trust = a6 * torch.sigmoid(a7 * above + a8) + a9 * above + a10
        return (lateral - mean) * trust + mean


Stage = tuple[nn.Sequential, nn.Sequential]
"""A linear layer with its normalisation, and what follows until the next one: activation and dropout."""


def stages(layers: nn.Sequential) -> list[Stage]:
    """The stages of an MLP's encoder or decoder, in order."""
    found: list[tuple[list[nn.Module], list[nn.Module]]] = []
    for layer in layers:
        if hasattr(layer, "bias") and not isinstance(layer, NORMALIZATIONS):
            found.append(([layer], []))
        else:
            found[-1][0 if isinstance(layer, NORMALIZATIONS) else 1].append(layer)
    return [(nn.Sequential(*linear), nn.Sequential(*after)) for linear, after in found]


def variance(rows: Tensor, real: Tensor) -> Tensor:
    """Of each column of ``(M, D)`` over the rows that are real ``(M,)``: ``(D,)``, in full precision."""
    rows = rows.float() if rows.dtype in (torch.float16, torch.bfloat16) else rows
    share = (real / real.sum())[:, None].to(rows)
    mean = (rows * share).sum(0)
    return ((rows - mean).square() * share).sum(0).clamp(min=1e-6)


def noisy(values: Tensor, noise: float) -> Tensor:
    """The values with N(0, noise²) added."""
    return values + noise * torch.randn_like(values) if noise else values
