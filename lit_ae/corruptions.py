"""What is done to x before it is encoded. The target is never corrupted."""

from abc import ABC, abstractmethod
from typing import get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_ae.errors import UserError
from lit_ae.spec import DataSpec, Kind
from lit_ae.tokenizers import UNKNOWN

NUMBERS: tuple[Kind, ...] = ("image", "table", "series")


class Corruption(nn.Module, ABC):
    """A random damage to the input. It draws from torch's global generator, which each step seeds.

    Args:
        spec: the data that is corrupted.

    Raises:
        UserError: the corruption is not made for this kind of data.
    """

    kinds: tuple[Kind, ...] = get_args(Kind)

    def __init__(self, spec: DataSpec):
        super().__init__()
        if spec.kind not in self.kinds:
            usual = (
                "use --model.corruption TokenDropout"
                if spec.kind == "sequence"
                else "choose another --model.corruption"
            )
            raise UserError(
                f"{type(self).__name__} is made for {' and '.join(self.kinds)} data, and {spec.name} is of kind "
                f"{spec.kind}: {usual}."
            )
        self.value_range = spec.value_range

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """The damaged input, of the same shape as ``x``; ``x`` itself is left as it is."""


class GaussianNoise(Corruption):
    """Adds N(0, sigma²) to every feature (Vincent et al. 2010, section 3.3).

    Args:
        spec: the data that is corrupted.
        sigma: the noise's standard deviation, in model space.
        clip: keep the result inside the data's value range, where it has one.
    """

    kinds = NUMBERS

    def __init__(self, spec: DataSpec, sigma: float = 0.5, clip: bool = True):
        super().__init__(spec)
        if sigma <= 0:
            raise UserError(f"GaussianNoise needs a sigma above 0, not {sigma}: change model.corruption.sigma.")
        self.sigma, self.clip = sigma, clip

    def forward(self, x: Tensor) -> Tensor:
        noisy = x + self.sigma * torch.randn_like(x)
        return noisy.clamp(*self.value_range) if self.clip and self.value_range else noisy


class Masking(Corruption):
    """Sets a share of each sample's features, drawn anew, to one value (Vincent et al. 2008, section 2.3).

    Args:
        spec: the data that is corrupted.
        share: how much of a sample is masked, above 0 and at most 1; rounded to whole features, at least one.
        value: what masked features become; by default the lowest of the data's value range, or 0 where it has none.
    """

    kinds = NUMBERS

    def __init__(self, spec: DataSpec, share: float = 0.25, value: float | None = None):
        super().__init__(spec)
        self.count, self.value = _count(self, spec, share), _value(self, value)

    def forward(self, x: Tensor) -> Tensor:
        return x.masked_fill(_some(x, self.count), self.value)


class SaltAndPepper(Corruption):
    """Sets a share of each sample's features, drawn anew, to the lowest or the highest value, a coin flip each
    (Vincent et al. 2010, section 3.3).

    Args:
        spec: the data that is corrupted; it must have a value range.
        share: how much of a sample is set, above 0 and at most 1; rounded to whole features, at least one.
    """

    kinds = NUMBERS

    def __init__(self, spec: DataSpec, share: float = 0.25):
        super().__init__(spec)
        if spec.value_range is None:
            raise UserError(
                f"SaltAndPepper needs a lowest and a highest value, and {spec.name} has no value range: "
                "use --model.corruption Masking."
            )
        self.count, self.ends = _count(self, spec, share), spec.value_range

    def forward(self, x: Tensor) -> Tensor:
        low, high = self.ends
        extremes = low + (high - low) * torch.randint_like(x, 2)
        return torch.where(_some(x, self.count), extremes, x)


class MissingBlocks(Corruption):
    """Cuts rectangular blocks out of each image, at places drawn anew, all channels alike; for inpainting.

    Args:
        spec: the data that is corrupted.
        blocks: how many; they may overlap.
        height: a block's height as a share of the image's, above 0 and at most 1; at least one pixel.
        width: its width as a share of the image's.
        value: what missing pixels become; by default the lowest of the data's value range, or 0 where it has none.
    """

    kinds = ("image",)

    def __init__(
        self, spec: DataSpec, blocks: int = 1, height: float = 0.5, width: float = 0.5, value: float | None = None
    ):
        super().__init__(spec)
        if blocks < 1 or not 0 < height <= 1 or not 0 < width <= 1:
            raise UserError("MissingBlocks needs at least 1 block, and a height and a width in (0, 1].")
        rows, columns = spec.shape[1:]
        self.blocks, self.value = blocks, _value(self, value)
        self.height, self.width = max(1, round(height * rows)), max(1, round(width * columns))

    def forward(self, x: Tensor) -> Tensor:
        down, across = self._covered(x, 2, self.height), self._covered(x, 3, self.width)
        missing = (down[..., :, None] & across[..., None, :]).any(1, keepdim=True)
        return x.masked_fill(missing, self.value)

    def _covered(self, x: Tensor, axis: int, length: int) -> Tensor:
        """Which places along an axis each block covers: ``(N, blocks, x.shape[axis])``."""
        places = torch.arange(x.shape[axis], device=x.device)
        start = torch.randint(x.shape[axis] - length + 1, (len(x), self.blocks, 1), device=x.device)
        return (places >= start) & (places < start + length)


class LowerResolution(Corruption):
    """Averages squares of pixels and blows the small image up again to the same shape; for super-resolution.

    Args:
        spec: the data that is corrupted.
        factor: how many times smaller the image becomes; sides that it doesn't divide are rounded up.
        smooth: blow up bilinearly; otherwise every pixel is a copy of its square's mean.
    """

    kinds = ("image",)

    def __init__(self, spec: DataSpec, factor: int = 2, smooth: bool = True):
        super().__init__(spec)
        if not 2 <= factor <= min(spec.shape[1:]):
            raise UserError(
                f"LowerResolution needs a factor from 2 to {min(spec.shape[1:])}, the shorter side of {spec.name}, "
                f"not {factor}: change model.corruption.factor."
            )
        self.factor, self.smooth = factor, smooth

    def forward(self, x: Tensor) -> Tensor:
        height, width = (-(-side // self.factor) for side in x.shape[2:])
        small = F.adaptive_avg_pool2d(x, (height, width))
        return F.interpolate(small, x.shape[2:], mode="bilinear" if self.smooth else "nearest")


class TokenDropout(Corruption):
    """Makes each token of a sequence, drawn anew, the unknown one with some probability; padding stays.

    Args:
        spec: the data that is corrupted; its vocabulary must have an ``<unknown>``.
        share: how probable it is for a token, above 0 and at most 1.
    """

    kinds = ("sequence",)

    def __init__(self, spec: DataSpec, share: float = 0.15):
        super().__init__(spec)
        _count(self, spec, share)
        if UNKNOWN not in spec.vocabulary:
            raise UserError(f"TokenDropout needs the token {UNKNOWN}, which the vocabulary of {spec.name} lacks.")
        self.share, self.unknown, self.pad = share, spec.vocabulary.index(UNKNOWN), spec.pad

    def forward(self, x: Tensor) -> Tensor:
        dropped = torch.rand_like(x) < self.share
        return torch.where(dropped if self.pad is None else dropped & (x != self.pad), self.unknown, x)


def _count(corruption: Corruption, spec: DataSpec, share: float) -> int:
    """A share of the features as a whole number."""
    if not 0 < share <= 1:
        raise UserError(
            f"{type(corruption).__name__} needs a share above 0 and at most 1, not {share}: "
            "change model.corruption.share."
        )
    return max(1, round(share * spec.features))


def _value(corruption: Corruption, value: float | None) -> float:
    """What stands for what is missing."""
    low, high = corruption.value_range or (-torch.inf, torch.inf)
    if value is not None and not low <= value <= high:
        raise UserError(
            f"{type(corruption).__name__}'s value {value} lies outside the data's range [{low}, {high}]: "
            "change model.corruption.value."
        )
    return value if value is not None else low if corruption.value_range else 0.0


def _some(x: Tensor, count: int) -> Tensor:
    """True at ``count`` features of each sample, drawn anew: the shape of ``x``."""
    chosen = torch.rand(len(x), x[0].numel(), device=x.device).topk(count, dim=1).indices
    return torch.zeros_like(x, dtype=torch.bool).flatten(1).scatter_(1, chosen, True).view_as(x)
