"""One way through a model."""

from typing import Any, Generic, NamedTuple, TypeVar

from torch import Tensor

from lit_ae.batch import Batch
from lit_ae.latents import Latent

LatentT = TypeVar("LatentT", bound=Latent)


class Pass(NamedTuple, Generic[LatentT]):
    """One way through the model.

    Attributes:
        x: the clean target, ``(N, *spec.shape)``.
        inputs: what was encoded, of the same shape.
        latent: what the encoder made of it.
        z: draws from it, ``(draws, N, latent_dim)``.
        log_likelihood: log p(x|z) in nats, ``(draws, N)``.
        extra: whatever else a variant's terms need.
        batch: what the pass was made for; None outside of a step.
    """

    x: Tensor
    inputs: Tensor
    latent: LatentT
    z: Tensor
    log_likelihood: Tensor
    extra: dict[str, Any]
    batch: Batch | None = None
