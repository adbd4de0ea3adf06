"""Likelihoods of counts."""

import torch
import torch.nn.functional as F
from torch import Tensor

from lit_ae.errors import UserError
from lit_ae.likelihoods.base import Likelihood, first_output, per_sample, range_in_words
from lit_ae.spec import DataSpec


class _Counts(Likelihood):
    """A likelihood of whole numbers from 0 on.

    Args:
        spec: the data that is compared; its values must be ``unit`` times a whole number.
        unit: what one count is in model space.
    """

    def __init__(self, spec: DataSpec, unit: float):
        super().__init__(spec)
        name = type(self).__name__
        if unit <= 0:
            raise UserError(f"{name} needs a unit above 0, not {unit}: change model.likelihood.unit.")
        low, high = spec.value_range or (0.0, torch.inf)
        most, least_of_counts = high / unit, 2 if spec.binarize == "none" else 1  # grey levels in [0, 1] are no counts
        is_whole = most == torch.inf or abs(most - round(most)) < 1e-3
        if low != 0 or not is_whole or most < least_of_counts - 1e-3:
            raise UserError(
                f"The {name} likelihood needs counts from 0 on, and values of {spec.name} are {range_in_words(spec)}: "
                "set model.likelihood.unit to what one count is there (1/255 for 8-bit grey levels in [0, 1]), or use "
                "--model.likelihood Gaussian."
            )
        self.unit = unit

    def _counts(self, x: Tensor) -> Tensor:
        return x / self.unit


class Poisson(_Counts):
    """Independent counts; a feature's rate is the softplus of the decoder's output.

    Args:
        spec: the data that is compared; its values must be ``unit`` times a whole number.
        unit: what one count is in model space: 1 for counts as they are, 1/255 for 8-bit grey levels in [0, 1].
    """

    def __init__(self, spec: DataSpec, unit: float = 1.0):
        super().__init__(spec, unit)

    def log_prob(self, outputs: Tensor, x: Tensor) -> Tensor:
        """Nats of a probability of the counts."""
        outputs, counts = first_output(outputs), self._counts(x)
        log_rate = torch.where(outputs < -15, outputs, F.softplus(outputs.clamp(min=-15)).log())
        return per_sample(counts * log_rate - F.softplus(outputs) - torch.lgamma(counts + 1))

    def mean(self, outputs: Tensor) -> Tensor:
        return self.unit * F.softplus(first_output(outputs))

    def sample(self, outputs: Tensor, generator: torch.Generator | None = None) -> Tensor:
        return self.unit * torch.poisson(F.softplus(first_output(outputs)), generator=generator)


class Multinomial(_Counts):
    """A sample's counts, given how many they are together (Liang et al. 2018, equation 2); the features' shares are the
    softmax of the decoder's outputs.

    Args:
        spec: the data that is compared; its values must be ``unit`` times a whole number.
        total: counts that a reconstruction or a draw adds up to, because the outputs don't tell; it must be given: the
            data's usual number, or 1 for shares. The objective takes each sample's own number.
        unit: what one count is in model space: 1 for counts as they are, 1/255 for 8-bit grey levels in [0, 1].
    """

    is_by_feature = False

    def __init__(self, spec: DataSpec, total: int | None = None, unit: float = 1.0):
        super().__init__(spec, unit)
        if total is None or total < 1:
            raise UserError(
                f"Multinomial needs a total of 1 count or more, not {total}: set model.likelihood.total to the usual "
                "number of counts of a sample, or to 1 for shares."
            )
        self.total = total

    def log_prob(self, outputs: Tensor, x: Tensor) -> Tensor:
        """Nats of a probability of the counts, given their sum."""
        log_shares, counts = first_output(outputs).flatten(1).log_softmax(1), self._counts(x).flatten(1)
        orders = torch.lgamma(counts.sum(1) + 1) - torch.lgamma(counts + 1).sum(1)
        return orders + (counts * log_shares).sum(1)

    def mean(self, outputs: Tensor) -> Tensor:
        outputs = first_output(outputs)
        return self.unit * self.total * outputs.flatten(1).softmax(1).view_as(outputs)

    def sample(self, outputs: Tensor, generator: torch.Generator | None = None) -> Tensor:
        shares = first_output(outputs).flatten(1).softmax(1)
        drawn = torch.multinomial(shares, self.total, replacement=True, generator=generator)
        counts = torch.zeros_like(shares).scatter_add_(1, drawn, torch.ones_like(shares[:, :1]).expand_as(drawn))
        return self.unit * counts.view_as(outputs[:, 0])
