"""The ladder autoencoder."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from lit_ae.errors import UserError
from lit_ae.ladders import Ladder, variance
from lit_ae.latents import Point
from lit_ae.module import LitAutoencoder, Pass
from lit_ae.schedules import Schedule
from lit_ae.spec import DataSpec
from lit_ae.supervision import LabelledShare


class LadderAutoencoder(LitAutoencoder):
    """Noise at every layer, and every layer denoised with help from above and from the side (Rasmus et al. 2015).

    ``denoising_0`` is that of x in nats; ``denoising_l`` is half the squared error of layer l in units of its standard
    deviation over the batch (equation 3), summed. ``reconstruction`` is from the code alone, as at inference.

    Args:
        spec: what the data is; handed over by the data module.
        noise: standard deviation of what is added to the input and to the pre-activations of every layer.
        denoising: weights of the layers' denoising costs, from the input upwards; the last holds for all above it.
        reconstruction: weight of the reconstruction from the code alone; the paper has none.
        labelled_share: share of the rows whose labels are used; 0 is unsupervised.
        classification: weight of a linear classifier's cross-entropy on the noisy code, in nats a labelled row.
    """

    def __init__(
        self,
        spec: DataSpec,
        *,
        noise: float = 0.3,
        denoising: list[float | Schedule] = [1.0, 0.1],  # noqa: B006 - never changed, and shown as the default
        reconstruction: float | Schedule = 1.0,
        labelled_share: float = 0.0,
        classification: float | Schedule = 1.0,
        **kwargs: Any,
    ):
        if spec.kind == "sequence":
            raise UserError(f"LadderAutoencoder adds noise to x, and {spec.name} holds tokens: use another variant.")
        super().__init__(spec, **kwargs)
        self.ladder = Ladder(self.network, spec.features)
        layers = len(self.ladder.combinators)
        if noise < 0 or not 1 <= len(denoising) <= layers:
            raise UserError(f"A ladder of {layers} layers needs noise >= 0 and 1 to {layers} weights in denoising.")
        self.noise, self.labels = noise, LabelledShare(spec, self.latent_dim, labelled_share)
        every = [*denoising, *denoising[-1:] * (layers - len(denoising))]
        self._weights = {f"denoising_{layer}": Schedule.of(weight) for layer, weight in enumerate(every)}
        self._weights |= {"reconstruction": Schedule.of(reconstruction), "classification": Schedule.of(classification)}

    @property
    def weights(self) -> Mapping[str, Schedule]:
        return self._weights

    def forward_pass(self, x: Tensor, inputs: Tensor) -> Pass[Point]:
        noisy = self.ladder.climb(inputs.flatten(1), self.noise)
        clean = self.ladder.climb(x.flatten(1)) if self.noise or self.corruption else noisy
        latent = Point(noisy[-1])
        z = latent.sample()
        return Pass(x, inputs, latent, z, self.log_likelihood(x, z), {"clean": clean, "noisy": noisy})

    def terms(self, passed: Pass[Point]) -> dict[str, Tensor]:
        outputs, *estimates = self.ladder.descend(passed.extra["noisy"])
        outputs = outputs.unflatten(1, (-1, *self.spec.shape))
        terms = {**super().terms(passed), "denoising_0": -self.likelihood.log_prob(outputs, passed.x)}
        for layer, (z, estimate) in enumerate(zip(passed.extra["clean"][1:], estimates, strict=True), start=1):
            every, real, _ = self.rows_of_all_processes(z, passed.batch)
            terms[f"denoising_{layer}"] = 0.5 * ((z - estimate).square() / variance(every, real)).sum(1)
        return {**terms, **self.labels.terms(passed.latent.mean, passed.batch)}

    def figures(self, passed: Pass[Point]) -> dict[str, Tensor]:
        return self.labels.figures(passed.extra["clean"][-1], passed.batch)
