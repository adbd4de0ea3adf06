"""The ladder autoencoder."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from lit_ae.ladders import Ladder
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
        spec.refuse_tokens("LadderAutoencoder adds noise to x")
        super().__init__(spec, **kwargs)
        self.ladder = Ladder(self.network, spec, noise, denoising)
        self.labels = LabelledShare(spec, self.latent_dim, labelled_share, classification)
        self.reconstruction = Schedule.of(reconstruction)

    @property
    def weights(self) -> Mapping[str, Schedule]:
        return {"reconstruction": self.reconstruction, **self.ladder.weights, **self.labels.weights}

    def forward_pass(self, x: Tensor, inputs: Tensor) -> Pass[Point]:
        noisy, clean = self.ladder.both_ways_up(inputs, x)
        latent = Point(noisy[-1])
        z = latent.sample()
        return Pass(x, inputs, latent, z, self.log_likelihood(x, z), {"clean": clean, "noisy": noisy})

    def terms(self, passed: Pass[Point]) -> dict[str, Tensor]:
        estimates = self.ladder.descend(passed.extra["noisy"])
        outputs = estimates[0].unflatten(1, (-1, *self.spec.shape))
        terms = {**super().terms(passed), "denoising_0": -self.likelihood.log_prob(outputs, passed.x)}
        terms |= self.ladder.costs(passed.extra["clean"], estimates, self.rows_of_all_processes, passed.batch)
        return terms | self.labels.terms(passed.latent.mean, passed.batch)

    def figures(self, passed: Pass[Point]) -> dict[str, Tensor]:
        return self.labels.figures(passed.extra["clean"][-1], passed.batch)
