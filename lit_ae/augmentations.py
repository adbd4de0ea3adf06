"""Random views of a sample that mean the same. They draw from torch's global generator, which each step seeds."""

from abc import ABC, abstractmethod

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_ae.errors import UserError
from lit_ae.spec import DataSpec, Kind


class Augmentation(nn.Module, ABC):
    """A random change of samples that keeps their shape.

    Args:
        spec: the data that is changed.
    """

    kinds: tuple[Kind, ...] = ("image", "table", "series", "sequence")

    def __init__(self, spec: DataSpec):
        super().__init__()
        if spec.kind not in self.kinds:
            raise UserError(
                f"{type(self).__name__} is made for {' and '.join(self.kinds)} data, and {spec.name} is of kind "
                f"{spec.kind}: leave out model.augmentation."
            )
        self.value_range = spec.value_range

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """A view ``(N, *spec.shape)`` of each sample; ``x`` itself is left as it is."""

    def within_range(self, x: Tensor) -> Tensor:
        """``x`` clipped to the data's value range, where it has one."""
        return x.clamp(*self.value_range) if self.value_range else x


class ImageViews(Augmentation):
    """A part of the image, shifted and drawn up to full size, with noise and a square erased.

    Args:
        spec: the data that is changed.
        crop: the smallest part of each side that is kept; 1 keeps all of it.
        shift: how far the image is moved at most, in parts of its side.
        noise: standard deviation of Gaussian noise.
        erase: side of the erased square in parts of the image's; 0 erases nothing.
    """

    kinds = ("image",)

    def __init__(self, spec: DataSpec, crop: float = 0.8, shift: float = 0.1, noise: float = 0.05, erase: float = 0.25):
        super().__init__(spec)
        if not 0 < crop <= 1 or min(shift, noise, erase) < 0 or erase > 1:
            raise UserError("ImageViews needs crop in (0, 1], shift and noise >= 0, and erase in [0, 1].")
        self.crop, self.shift, self.noise, self.erase = crop, shift, noise, erase

    def forward(self, x: Tensor) -> Tensor:
        part = self.crop + (1 - self.crop) * torch.rand(len(x), 1, 1, device=x.device)
        centre = (2 * torch.rand(len(x), 2, 1, device=x.device) - 1) * (1 - part + 2 * self.shift)
        affine = torch.cat([part * torch.eye(2, device=x.device), centre], 2).to(x)
        grid = F.affine_grid(affine, list(x.shape), align_corners=False)
        moved = F.grid_sample(x, grid, padding_mode="border", align_corners=False)
        noisy = moved + self.noise * torch.randn_like(moved)
        lowest = self.value_range[0] if self.value_range else 0.0
        return self.within_range(torch.where(self._square(x), lowest, noisy))

    def _square(self, x: Tensor) -> Tensor:
        """The erased places, ``(N, 1, H, W)``."""
        inside = []
        for axis, side in ((2, x.shape[2]), (3, x.shape[3])):
            length = round(self.erase * side)
            start = torch.randint(side - length + 1, (len(x), 1, 1, 1), device=x.device)
            place = torch.arange(side, device=x.device).view(1, 1, *((-1, 1) if axis == 2 else (1, -1)))
            inside.append((place >= start) & (place < start + length))
        return inside[0] & inside[1]


class FeatureCorruption(Augmentation):
    """Some of a row's cells take the values that other rows have there (Bahri et al. 2022, algorithm 1).

    Args:
        spec: the data that is changed.
        share: of the cells, on average.
    """

    def __init__(self, spec: DataSpec, share: float = 0.3):
        super().__init__(spec)
        if not 0 < share < 1:
            raise UserError(f"FeatureCorruption needs a share between 0 and 1, not {share}.")
        self.share = share

    def forward(self, x: Tensor) -> Tensor:
        cells = x.flatten(1)
        others = cells.gather(0, torch.randint(len(cells), cells.shape, device=x.device))
        replaced = torch.rand(cells.shape, device=x.device) < self.share
        return torch.where(replaced, others, cells).view_as(x)


class SeriesViews(Augmentation):
    """A stretch of the series, drawn out to full length, with noise.

    Args:
        spec: the data that is changed; ``(steps, features)`` or ``(steps,)``.
        crop: the shortest part that is kept; 1 keeps all of it.
        jitter: standard deviation of Gaussian noise on every value.
    """

    kinds = ("series",)

    def __init__(self, spec: DataSpec, crop: float = 0.7, jitter: float = 0.1):
        super().__init__(spec)
        if not 0 < crop <= 1 or jitter < 0:
            raise UserError("SeriesViews needs crop in (0, 1] and jitter >= 0.")
        self.crop, self.jitter = crop, jitter

    def forward(self, x: Tensor) -> Tensor:
        steps, values = x.shape[1], x.flatten(2) if x.ndim > 2 else x[:, :, None]
        part = self.crop + (1 - self.crop) * torch.rand(len(x), 1, device=x.device)
        start = (1 - part) * torch.rand(len(x), 1, device=x.device)
        place = (steps - 1) * (start + part * torch.linspace(0, 1, steps, device=x.device))
        before = place.long().clamp(max=max(0, steps - 2))
        between = (place - before)[:, :, None].to(x)
        after = (before + 1).clamp(max=steps - 1)
        low, high = (values.gather(1, at[:, :, None].expand_as(values)) for at in (before, after))
        drawn_out = (low + between * (high - low)).view_as(x)
        return self.within_range(drawn_out + self.jitter * torch.randn_like(drawn_out))


def usual_for(kind: Kind) -> type[Augmentation]:
    """The augmentation of a kind of data where the user names none."""
    usual: dict[Kind, type[Augmentation]] = {"image": ImageViews, "series": SeriesViews}
    return usual.get(kind, FeatureCorruption)
