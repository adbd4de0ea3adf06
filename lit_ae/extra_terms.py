"""What any variant's objective may have beside its own terms: how unlike x an x̂ is, where features alone don't say it.

Extra terms belong to the training alone. A packed model neither holds nor describes them; the run's configuration does.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from typing import ClassVar

import torch
from torch import Tensor, nn
from torchmetrics.functional.image import structural_similarity_index_measure

from lit_ae.errors import UserError
from lit_ae.metrics.reconstruction import ssim_sigma
from lit_ae.networks.base import NONLINEARITIES
from lit_ae.schedules import Schedule
from lit_ae.spec import DataSpec, Kind
from lit_ae.weights import digest


class ExtraTerm(nn.Module, ABC):
    """A cost of x̂ beside x. Gradients reach x̂; there is nothing to train in it and nothing to save.

    Args:
        spec: the data.
        weight: the cost's weight, a number or a schedule.

    Raises:
        UserError: the term is not made for this kind of data.
    """

    name: ClassVar[str]
    """What it is called among the objective's terms."""

    kinds: tuple[Kind, ...] = ("image",)

    def __init__(self, spec: DataSpec, weight: float | Schedule):
        super().__init__()
        title, self.weight = type(self).__name__, Schedule.of(weight)
        if spec.kind not in self.kinds:
            raise UserError(
                f"{title} is made for {' and '.join(self.kinds)} data, and {spec.name} is of kind {spec.kind}: take it "
                "out of model.extra_terms."
            )
        if self.weight.final < 0:
            raise UserError(f"{title} needs a weight of 0 or more, not {self.weight.final:g}.")

    @abstractmethod
    def forward(self, x_hat: Tensor, x: Tensor) -> Tensor:
        """The cost of each sample ``(N,)``, of two batches ``(N, *spec.shape)`` in model space."""

    @property
    def identity(self) -> str:
        """What tells it from another of its kind; the same in a training that goes on."""
        return self.name


class SSIM(ExtraTerm):
    """1 - SSIM, from 0 for equal images to 2 (Wang et al. 2004; as a cost Zhao et al. 2017).

    The windows are those of the test figure: see :func:`lit_ae.metrics.reconstruction.ssim_sigma`.

    Args:
        spec: the data.
        weight: the cost's weight, a number or a schedule; the reconstruction beside it is a sum over features in nats.
    """

    name = "one_minus_ssim"

    def __init__(self, spec: DataSpec, weight: float | Schedule = 10.0):
        super().__init__(spec, weight)
        if spec.value_range is None or min(spec.shape[1:]) < 3:
            raise UserError(
                f"SSIM needs images of 3 x 3 pixels or more and a value range, and {spec.name} has none: take it out "
                "of model.extra_terms."
            )
        self.span, self.sigma = spec.value_range[1] - spec.value_range[0], ssim_sigma(spec)

    def forward(self, x_hat: Tensor, x: Tensor) -> Tensor:
        wide = torch.promote_types(x_hat.dtype, torch.float32)  # variances are lost in half precision
        with torch.autocast(x.device.type, enabled=False):
            similarity = structural_similarity_index_measure(
                x_hat.to(wide), x.to(wide), sigma=self.sigma, data_range=self.span, reduction="none"
            )
        assert isinstance(similarity, Tensor)
        return 1 - similarity


class Perceptual(ExtraTerm):
    """How far x̂ is from x in the features of a trained encoder, which stays as it is (Hou et al. 2017).

    The features are what the encoder's non-linearities put out, and the code. Each of these layers costs half the mean
    squared difference over its numbers, and the layers are summed.

    Args:
        spec: the data.
        encoder: a model of ours, trained on images of the same shape and value range: runs:/<run id>/model,
            models:/<name>@<alias>, or the folder of a packed model.
        weight: the cost's weight, a number or a schedule.
    """

    name = "perceptual"

    def __init__(self, spec: DataSpec, encoder: str, weight: float | Schedule = 10.0):
        super().__init__(spec, weight)
        from lit_ae.serving.addresses import load_from  # here, as a model is made of this module's classes

        model = load_from(encoder)
        if (model.spec.shape, model.spec.value_range) != (spec.shape, spec.value_range):
            raise UserError(
                f"The perceptual encoder {encoder} was trained on {_in_words(model.spec)}, and {spec.name} is of "
                f"{_in_words(spec, named=False)}: name another in model.extra_terms."
            )
        self._model = (model,)  # neither trained nor saved with the model that it judges
        self._layers = [layer for layer in model.network.modules() if isinstance(layer, NONLINEARITIES)]
        self._identity = f"{self.name} by {type(model).__name__} {digest(model)[:12]}"

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "Perceptual":
        """Moves the encoder wherever the rest is moved."""
        self._model[0]._apply(fn, recurse)
        return super()._apply(fn, recurse)

    @property
    def identity(self) -> str:
        return self._identity

    def features(self, x: Tensor) -> list[Tensor]:
        """What each layer makes of ``x``, ``(N, ...)``, and the code at the end."""
        found: list[Tensor] = []
        hooks = [layer.register_forward_hook(lambda _layer, _given, out: found.append(out)) for layer in self._layers]
        try:
            code = self._model[0].encode(x)
        finally:
            for hook in hooks:
                hook.remove()
        return [*found, code]

    def forward(self, x_hat: Tensor, x: Tensor) -> Tensor:
        with torch.no_grad():
            wanted = self.features(x)
        pairs = zip(self.features(x_hat), wanted, strict=True)
        return torch.stack([0.5 * (a - b).square().flatten(1).mean(1) for a, b in pairs]).sum(0)


class ExtraTerms(nn.ModuleList):
    """The extra terms of an objective.

    Args:
        terms: each of another name.
    """

    def __init__(self, terms: Iterable[ExtraTerm]):
        super().__init__(terms)
        names = [term.name for term in self]
        if len(set(names)) < len(names):
            raise UserError(f"model.extra_terms names a term twice: {', '.join(names)}.")

    def __iter__(self) -> Iterator[ExtraTerm]:
        return super().__iter__()  # type: ignore[return-value]

    def forward(self, x_hat: Tensor, x: Tensor) -> dict[str, Tensor]:
        """Each one's cost of each sample, ``(N,)``, by name."""
        return {term.name: term(x_hat, x) for term in self}

    @property
    def weights(self) -> dict[str, Schedule]:
        """Their weights over time."""
        return {term.name: term.weight for term in self}

    @property
    def identities(self) -> list[str]:
        """What a training that goes on must find again."""
        return [term.identity for term in self]

    def check_same(self, identities: list[str]) -> None:
        """Refuses to go on with another objective than the one of a checkpoint.

        Raises:
            UserError: naming both.
        """
        if identities != self.identities:
            raise UserError(
                f"The training had the extra terms {identities} and would go on with {self.identities}: name the same "
                "encoder in model.extra_terms, by its run or version and not by an alias that has moved."
            )


def _in_words(spec: DataSpec, named: bool = True) -> str:
    shape = f"shape {list(spec.shape)} in {list(spec.value_range) if spec.value_range else 'any range'}"
    return f"{spec.name} of {shape}" if named else shape
