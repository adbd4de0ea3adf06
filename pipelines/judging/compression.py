"""How well the code compresses images, beside JPEG at the same quality."""

import torch
from torch import Tensor

from data.base import LitData
from lit_ae.latents import QuantizedCode
from lit_ae.metrics.chunks import in_chunks
from lit_ae.metrics.compression import StaticCode, UniformQuantizer, jpeg_at, psnr
from lit_ae.module import LitAutoencoder
from pipelines.judging.verdict import Verdict
from pipelines.options import Evaluation

COUNTED_ROWS = 10_000
STEPS = [2.0**-power for power in range(-2, 9)]
LOSS = 0.1  # dB of PSNR on the tuning split that rounding may cost


def judge_compression(model: LitAutoencoder, data: LitData, asked: Evaluation, verdict: Verdict) -> None:
    """Bits a pixel and PSNR of the rounded code, and of JPEG at no less PSNR; not where skips go past the code."""
    spec, rows = data.spec, asked.compression_rows
    if not rows or spec.kind != "image" or spec.value_range is None or model.network.has_skips:
        return
    test = data.split("test").x[:rows]
    decoded, bits, how = _compress(model, data, test)
    images, quality = unit(data, test), psnr(unit(data, test), unit(data, decoded))
    per_pixel = bits.double().mean().item() / (spec.shape[1] * spec.shape[2])
    verdict.add("test", {"bits_per_pixel": per_pixel, "quantised_psnr": quality})
    protocol = (
        f"{how}, of {len(images)} test images by an ideal entropy coder with each place's frequencies counted on "
        f"{min(COUNTED_ROWS, data.split_sizes['fit'])} training rows; the decoder's own size doesn't count"
    )
    if spec.shape[0] in (1, 3):
        jpeg = jpeg_at(images, quality)
        verdict.add("test", {"jpeg_bits_per_pixel": jpeg.bits_per_pixel, "jpeg_psnr": jpeg.psnr})
        protocol += "; JPEG at the lowest quality that is no worse (else its best), its headers and tables not counted"
    verdict.protocol["bits_per_pixel"] = protocol


def _compress(model: LitAutoencoder, data: LitData, test: Tensor) -> tuple[Tensor, Tensor, str]:
    """What comes out of ``test`` at the other end, the bits of each image ``(N,)``, and how, in words."""
    fit, device = data.split("fit").x[:COUNTED_ROWS], model.device
    with torch.no_grad():
        is_quantized = isinstance(model.posterior(test[:1].to(device)), QuantizedCode)
    if is_quantized:
        code = StaticCode(_indices(model, fit))
        bits = code.length(code.clamp(_indices(model, test)))
        return in_chunks(model, test, device=device), bits, "indices of the codebook"
    quantizer = _choose(model, data, in_chunks(model.encode, fit, device=device))
    codes, bits = quantizer(in_chunks(model.encode, test, device=device))
    how = f"codes rounded to multiples of {quantizer.share:g} of their spread (at most {LOSS} dB on the tuning split)"
    return in_chunks(model.decode, codes, device=device), bits, how


def _choose(model: LitAutoencoder, data: LitData, codes: Tensor) -> UniformQuantizer:
    """The one with the coarsest step that costs at most ``LOSS`` on the tuning split, else with the finest."""
    tune, device = data.split("tune").x, model.device
    tuned = in_chunks(model.encode, tune, device=device)

    def quality(some: Tensor) -> float:
        return psnr(unit(data, tune), unit(data, in_chunks(model.decode, some, device=device)))

    wanted = quality(tuned) - LOSS
    quantizers = (UniformQuantizer(codes, step) for step in STEPS)
    good = (quantizer for quantizer in quantizers if quality(quantizer(tuned)[0]) >= wanted)
    return next(good, UniformQuantizer(codes, STEPS[-1]))


def _indices(model: LitAutoencoder, x: Tensor) -> Tensor:
    """Which vectors of the codebook stand for ``x``, ``(N, groups)``."""

    def of(rows: Tensor) -> Tensor:
        latent = model.posterior(rows)
        assert isinstance(latent, QuantizedCode)
        return latent.indices

    return in_chunks(of, x, device=model.device)


def unit(data: LitData, x: Tensor) -> Tensor:
    """Model space to values from 0 to 1."""
    assert data.spec.value_range is not None
    low, high = data.spec.value_range
    return (x - low) / (high - low)
