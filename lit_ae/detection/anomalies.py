"""Anomalies made of normal rows, to choose by when no label may be looked at."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from lit_ae.spec import DataSpec


class Usual(NamedTuple):
    """What is usual of each feature ``(*shape)``: standard deviation, lowest and highest value."""

    deviation: Tensor
    low: Tensor
    high: Tensor

    @staticmethod
    def of(normal: Tensor, over: tuple[int, ...]) -> "Usual":
        rows = normal.float()
        return Usual(rows.std(over, correction=0), rows.amin(over), rows.amax(over))


Make = Callable[[Tensor, Usual, torch.Generator], Tensor]


def synthetic_anomalies(spec: DataSpec, normal: Tensor, seed: int) -> dict[str, Tensor]:
    """Each kind of damage done to all of the normal rows ``(N, *spec.shape)``, by name, of the same shape."""
    usual = Usual.of(normal, (0, 1) if spec.kind == "series" else (0,))
    generator = torch.Generator().manual_seed(seed)
    return {name: make(normal, usual, generator) for name, make in KINDS[spec.kind].items()}


def spiked(x: Tensor, usual: Usual, generator: torch.Generator) -> Tensor:
    """A tenth of the features 1 to 3 deviations off."""
    return x + _some(x, 0.1, generator) * _sizes(x, 1.0, 3.0, generator) * usual.deviation


def strayed(x: Tensor, usual: Usual, generator: torch.Generator) -> Tensor:
    """A fiftieth of the features anywhere between the lowest and the highest value that is usual."""
    anywhere = usual.low + (usual.high - usual.low) * torch.rand(x.shape, generator=generator)
    return torch.where(_some(x, 0.02, generator), anywhere, x)


def scattered(x: Tensor, usual: Usual, generator: torch.Generator) -> Tensor:
    """A tenth of the features anywhere between the lowest and the highest value that is usual."""
    anywhere = usual.low + (usual.high - usual.low) * torch.rand(x.shape, generator=generator)
    return torch.where(_some(x, 0.1, generator), anywhere, x)


def exchanged(x: Tensor, usual: Usual, generator: torch.Generator) -> Tensor:
    """A third of the features from another row: each value is usual, and their company is not."""
    return torch.where(_some(x, 1 / 3, generator), x[_others(x, generator)], x)


def noisy(x: Tensor, usual: Usual, generator: torch.Generator) -> Tensor:
    """Every feature a fifth of a deviation off."""
    return x + 0.2 * usual.deviation * torch.randn(x.shape, generator=generator)


def patched(x: Tensor, usual: Usual, generator: torch.Generator) -> Tensor:
    """A square of a third of the image's side from another row, anywhere."""
    height, width = x.shape[-2:]
    side = max(1, min(height, width) // 3)
    other = x[_others(x, generator)]
    tops = torch.randint(height - side + 1, (len(x), 1), generator=generator)
    lefts = torch.randint(width - side + 1, (len(x), 1), generator=generator)
    inside = _between(tops, side, height)[:, :, None] & _between(lefts, side, width)[:, None, :]
    return torch.where(inside[:, None], other, x)


def turned(x: Tensor, usual: Usual, generator: torch.Generator) -> Tensor:
    """A quarter turn."""
    return x.rot90(1, (-2, -1)) if x.shape[-1] == x.shape[-2] else x.flip(-1)


def drifted(x: Tensor, usual: Usual, generator: torch.Generator) -> Tensor:
    """A third of the sensors 1 to 2 deviations off from a random step on."""
    begun = _since(x, generator)
    return x + begun * _some(x[:, :1], 1 / 3, generator) * _sizes(x[:, :1], 1.0, 2.0, generator) * usual.deviation


def stuck(x: Tensor, usual: Usual, generator: torch.Generator) -> Tensor:
    """Half of the sensors stay at their value from a random step on."""
    begun = _since(x, generator)
    first = begun.int().argmax(1, keepdim=True).expand(-1, 1, x.shape[2])
    return torch.where(begun & _some(x[:, :1], 0.5, generator), x.gather(1, first), x)


def restless(x: Tensor, usual: Usual, generator: torch.Generator) -> Tensor:
    """A third of the sensors are noisy by a deviation from a random step on."""
    noise = torch.randn(x.shape, generator=generator) * usual.deviation
    return x + _since(x, generator) * _some(x[:, :1], 1 / 3, generator) * noise


def misspelt(x: Tensor, usual: Usual, generator: torch.Generator) -> Tensor:
    """A fifth of the tokens from another row."""
    return torch.where(_some(x, 0.2, generator), x[_others(x, generator)], x)


def disordered(x: Tensor, usual: Usual, generator: torch.Generator) -> Tensor:
    """Every third token one place later."""
    return torch.where(_some(x, 1 / 3, generator), x.roll(1, 1), x)


KINDS: dict[str, dict[str, Make]] = {
    "table": {"spiked": spiked, "strayed": strayed, "scattered": scattered, "exchanged": exchanged},
    "image": {"patched": patched, "turned": turned, "noisy": noisy},
    "series": {"drifted": drifted, "stuck": stuck, "restless": restless, "exchanged": exchanged},
    "sequence": {"misspelt": misspelt, "disordered": disordered},
}


def _some(x: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """True at a share of the places, and at one at least of every row."""
    drawn = torch.rand(x.shape, generator=generator)
    flat = drawn.flatten(1)
    return (drawn < share) | (flat == flat.amin(1, keepdim=True)).view_as(x)


def _sizes(x: Tensor, low: float, high: float, generator: torch.Generator) -> Tensor:
    size = low + (high - low) * torch.rand(x.shape, generator=generator)
    return size * torch.where(torch.rand(x.shape, generator=generator) < 0.5, -1.0, 1.0)


def _others(x: Tensor, generator: torch.Generator) -> Tensor:
    """For every row another one."""
    if len(x) < 2:
        return torch.zeros(len(x), dtype=torch.long)
    return (torch.arange(len(x)) + torch.randint(1, len(x), (len(x),), generator=generator)) % len(x)


def _since(x: Tensor, generator: torch.Generator) -> Tensor:
    """True from a random step on, ``(N, T, 1)``: at the last step always."""
    steps = x.shape[1]
    return (torch.arange(steps) >= torch.randint(steps, (len(x), 1), generator=generator))[:, :, None]


def _between(starts: Tensor, size: int, length: int) -> Tensor:
    places = torch.arange(length)
    return (places >= starts) & (places < starts + size)
