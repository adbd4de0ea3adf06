"""How many bits a code takes, and how many JPEG takes for the same image."""

import io
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

QUALITIES = range(1, 101)


class StaticCode:
    """An entropy code whose symbol frequencies were counted once, at each place by itself, and are known to both ends.

    Args:
        symbols: whole numbers ``(N, places)`` to count. Every number from a place's lowest to its highest gets one
            count more than it has, so that none is impossible.
    """

    def __init__(self, symbols: Tensor):
        self.lowest, self.highest = symbols.amin(0), symbols.amax(0)
        sizes = self.highest - self.lowest + 1
        counts = torch.zeros(symbols.shape[1], int(sizes.max()))
        counts.scatter_add_(1, (symbols - self.lowest).T, torch.ones(symbols.T.shape))
        self.bits = (len(symbols) + sizes)[:, None].log2() - (counts + 1).log2()

    def clamp(self, symbols: Tensor) -> Tensor:
        """What of ``symbols`` can be said: at each place the nearest number that was counted."""
        return symbols.clamp(self.lowest, self.highest)

    def length(self, symbols: Tensor) -> Tensor:
        """Bits that an ideal arithmetic coder takes for each row of clamped symbols, ``(N,)``."""
        return self.bits.gather(1, (symbols - self.lowest).T).sum(0)


class UniformQuantizer:
    """Codes rounded to multiples of one step, the same for all dimensions.

    Args:
        codes: the training rows' ``(N, latent_dim)``, whose rounded values are counted.
        share: the step as a share of the codes' root mean square deviation from their mean.
    """

    def __init__(self, codes: Tensor, share: float):
        self.share, self.step = share, share * codes.var(0).mean().sqrt().clamp(min=torch.finfo(codes.dtype).tiny)
        self.code = StaticCode(self._round(codes))

    def __call__(self, codes: Tensor) -> tuple[Tensor, Tensor]:
        """The codes that come out at the other end, and the bits of each row ``(N,)``."""
        symbols = self.code.clamp(self._round(codes))
        return symbols * self.step, self.code.length(symbols)

    def _round(self, codes: Tensor) -> Tensor:
        return (codes / self.step).round().long()


class Compressed(NamedTuple):
    """What a way of compression comes to over some images: bits a pixel, and PSNR in dB."""

    bits_per_pixel: float
    psnr: float


def psnr(images: Tensor, others: Tensor) -> float:
    """dB of the mean squared error over all images, whose values span 1."""
    return -10 * (images - others).double().square().mean().log10().item()


def jpeg_at(images: Tensor, decibels: float) -> Compressed:
    """Baseline JPEG at the lowest quality whose PSNR is no less than ``decibels``, else at its highest.

    Bytes before the entropy-coded scan (the tables, the same for all images of a size and quality) and after it don't
    count.

    Args:
        images: ``(N, C, H, W)`` with values from 0 to 1, and 1 or 3 channels.
        decibels: of the MSE over all of them.
    """
    low, high = 0, len(QUALITIES) - 1
    while low < high:
        middle = (low + high) // 2
        if jpeg(images, QUALITIES[middle]).psnr >= decibels:
            high = middle
        else:
            low = middle + 1
    return jpeg(images, QUALITIES[low])


def jpeg(images: Tensor, quality: int) -> Compressed:
    """Baseline JPEG by Pillow with its standard tables, at a quality of 1 to 100, colours not subsampled."""
    levels = (images * 255).round().to(torch.uint8).permute(0, 2, 3, 1).squeeze(3).numpy()
    length, decoded = 0, []
    for level in levels:
        file = io.BytesIO()
        Image.fromarray(level).save(file, "JPEG", quality=quality, subsampling=0)
        length += _scan_bytes(file.getvalue())
        decoded.append(np.asarray(Image.open(file)))
    back = torch.from_numpy(np.stack(decoded)).float().view(len(images), *levels.shape[1:3], -1).permute(0, 3, 1, 2)
    pixels = images.shape[0] * images.shape[2] * images.shape[3]
    return Compressed(8 * length / pixels, psnr(images, back / 255))


def _scan_bytes(file: bytes) -> int:
    """Bytes of the entropy-coded scan: from behind the last "start of scan" header to the marker of the end."""
    marker = file.rindex(b"\xff\xda")  # in the scan itself every 0xff is followed by a zero
    return len(file) - (marker + 2 + int.from_bytes(file[marker + 2 : marker + 4], "big")) - 2
