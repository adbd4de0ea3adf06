"""What every likelihood offers."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from lit_ae.errors import UserError
from lit_ae.spec import DataSpec


class Likelihood(nn.Module, ABC):
    """p(x | outputs), where the decoder's ``outputs`` are ``(N, outputs_per_feature, *spec.shape)``.

    Args:
        spec: the data that is compared.

    Raises:
        UserError: the data are ids of tokens, and the likelihood compares numbers.
    """

    outputs_per_feature = 1
    compares_ids = False
    is_by_feature = True
    """Whether features are independent, so that each can be judged by itself."""

    def __init__(self, spec: DataSpec):
        super().__init__()
        if spec.kind == "sequence" and not self.compares_ids:
            raise UserError(
                f"{type(self).__name__} compares numbers, and {spec.name} holds tokens, which have no order: "
                "use --model.likelihood Categorical."
            )
        self.value_range = spec.value_range

    @abstractmethod
    def log_prob(self, outputs: Tensor, x: Tensor) -> Tensor:
        """Nats a sample, summed over features: ``(N,)``."""

    def log_prob_by_feature(self, outputs: Tensor, x: Tensor) -> Tensor:
        """Nats of each feature, judged as a sample of its own: ``(N, features)``."""
        alone = outputs.flatten(2).transpose(1, 2).flatten(0, 1)[:, :, None]
        return self.log_prob(alone, x.reshape(-1, 1)).view(len(x), -1)

    @abstractmethod
    def mean(self, outputs: Tensor) -> Tensor:
        """E[x | outputs], ``(N, *spec.shape)``."""

    @abstractmethod
    def sample(self, outputs: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """A draw of x, ``(N, *spec.shape)``."""


def full_precision(outputs: Tensor) -> Tensor:
    """Half-precision outputs in float32; others as they are."""
    return outputs.float() if outputs.dtype in (torch.float16, torch.bfloat16) else outputs


def first_output(outputs: Tensor) -> Tensor:
    """Each feature's first output, ``(N, *spec.shape)``, not in half precision; the only one is seen without a copy."""
    return full_precision(outputs.squeeze(1) if outputs.shape[1] == 1 else outputs[:, 0])


def per_sample(values: Tensor) -> Tensor:
    """The sum over the features: ``(N, ...)`` to ``(N,)``. Flattened first, its gradient would be copied once more."""
    return values.sum(tuple(range(1, values.ndim)))


def range_in_words(spec: DataSpec) -> str:
    """Where the data's values lie, for a sentence."""
    return "unbounded" if spec.value_range is None else f"in {list(spec.value_range)}"
