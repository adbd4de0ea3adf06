"""A likelihood of values that come in steps."""

import torch
from torch import Tensor

from lit_ae.errors import UserError
from lit_ae.likelihoods.base import Likelihood, full_precision, per_sample
from lit_ae.spec import DataSpec


class Categorical(Likelihood):
    """A free probability for each of ``levels`` grey levels, or tokens of a vocabulary, by a softmax of as many outputs
    a feature (van den Oord et al. 2016, section 2.2).

    The levels stand at equal distances over the data's value range, and x is rounded to the nearest. What is padding in
    a sequence costs nothing.

    Args:
        spec: the data that is compared; it must have a value range.
        levels: by default 256, as of 8-bit grey levels, and for a sequence the size of its vocabulary.
    """

    compares_ids = True

    def __init__(self, spec: DataSpec, levels: int | None = None):
        super().__init__(spec)
        if levels is None:
            levels = len(spec.vocabulary) or 256
        if levels < 2:
            raise UserError(f"Categorical needs 2 levels or more, not {levels}: change model.likelihood.levels.")
        if spec.value_range is None:
            raise UserError(
                f"The Categorical likelihood spreads its levels over a value range, and {spec.name} has none: "
                "use --model.likelihood Gaussian."
            )
        low, high = spec.value_range
        if spec.kind == "sequence" and levels != high - low + 1:
            raise UserError(
                f"{spec.name} has a vocabulary of {high - low + 1:g} tokens: set model.likelihood.levels to that."
            )
        self.low, self.step, self.levels = low, (high - low) / (levels - 1), levels
        self.outputs_per_feature, self.is_ordered = levels, spec.kind != "sequence"
        self.pad = spec.pad if spec.kind == "sequence" else None

    def _value(self, level: Tensor) -> Tensor:
        return self.low + self.step * level

    def log_prob(self, outputs: Tensor, x: Tensor) -> Tensor:
        """Nats of a probability, not of a density: divided by features and log 2 they are bits a feature."""
        level = ((x - self.low) / self.step).round().long().clamp(0, self.levels - 1)
        log_probabilities = full_precision(outputs).log_softmax(1)
        chosen = log_probabilities.gather(1, level[:, None])[:, 0]
        if self.pad is not None:
            chosen = chosen.where(x != self.pad, 0.0)
        return per_sample(chosen)

    def mean(self, outputs: Tensor) -> Tensor:
        """E[x]; for a sequence, whose tokens have no order, the most probable token."""
        outputs = full_precision(outputs)
        if not self.is_ordered:
            return self._value(outputs.argmax(1).to(outputs.dtype))
        level = torch.arange(self.levels, dtype=outputs.dtype, device=outputs.device)
        return self._value((outputs.softmax(1).movedim(1, -1) * level).sum(-1))

    def sample(self, outputs: Tensor, generator: torch.Generator | None = None) -> Tensor:
        probabilities = full_precision(outputs).softmax(1).movedim(1, -1)
        drawn = torch.multinomial(probabilities.reshape(-1, self.levels), 1, generator=generator)
        return self._value(drawn.view(probabilities.shape[:-1]).to(probabilities.dtype))
