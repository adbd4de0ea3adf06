"""LitAutoencoder, the base of every variant.

A variant says three things, and the base does the rest (training, validation and test steps, logging, optimizer):

- ``latent(code)``: what the encoder's output is (a point, a distribution; later a set of codes or a sequence), or
  ``posterior(x)`` where x becomes a latent in another way;
- ``terms(passed)``: the named terms of its objective, costs a sample in nats, summed over features;
- ``weights``: each term's weight over time; a term that is not named has weight 1.

``forward_pass`` is the fourth, for those whose way from x to x̂ is not encode, draw, decode; ``figures`` and ``alarms``
are for those that have something to watch. How the hard cases fit:

- teacher forcing: ``decode`` is given the target in a pass, and nothing at inference;
- two views: ``terms`` augments ``passed.x`` and encodes it again;
- an encoder that sees the visible part alone: ``forward_pass`` draws the mask and keeps it in ``passed.extra``;
- a cost at every layer: ``posterior`` returns a latent that also holds the layers, ``terms`` compares them;
- a codebook with moving averages, or a data set's statistic: buffers, updated from ``passed`` while ``self.training``;
- figures of a whole epoch, such as the share of dead units: ``measures``;
- the encoder's Jacobian: ``terms`` differentiates ``self.posterior`` at ``passed.inputs`` (validation keeps gradients);
- a discriminator: ``self.training_plan`` gives it an optimizer of its own; its cost is one of the terms, with a weight
  in training alone, on codes that carry no gradient, while the encoder's term freezes the discriminator;
- a target that is not the input: ``passed.x`` is clean, ``passed.inputs`` is what was encoded;
- some labels: ``passed.batch`` holds ``y`` and tells which rows they belong to;
- an x̂ that is also compared in other ways than by its likelihood: ``extra_terms`` are the user's choice, for any
  variant;
- padding: the likelihood leaves padded places out of ``log_prob``;
- skips from the encoder to the decoder: they travel with the latent (``latent.skips``) and nothing keeps them.
"""

import os
from collections.abc import Callable, Mapping
from typing import Any, final

import torch
from lightning.pytorch.cli import OptimizerCallable
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor

from lit_ae.batch import Batch
from lit_ae.corruptions import Corruption
from lit_ae.describe import Described, describe
from lit_ae.errors import UserError
from lit_ae.extra_terms import ExtraTerm, ExtraTerms
from lit_ae.latents import Latent, Point, Prior
from lit_ae.likelihoods import Gaussian, Likelihood
from lit_ae.metrics.reconstruction import reconstruction_measure
from lit_ae.metrics.usage import Measures
from lit_ae.networks import MLP, Network, Sizes
from lit_ae.networks.base import Initialization, Skips, initialize
from lit_ae.optimization import LearningRateSchedule, slowed
from lit_ae.passes import Pass
from lit_ae.randomness import seed_step
from lit_ae.reporting import Reporting
from lit_ae.schedules import Schedule, check_lengths, weight_at
from lit_ae.spec import DataSpec
from lit_ae.training_plans import SingleOptimizer, TrainingPlan


class LitAutoencoder(Described, Reporting):
    """Encoder, latent, decoder and likelihood, trained on a weighted sum of named terms.

    Args:
        spec: what the data is; handed over by the data module.
        latent_dim: numbers in a code z.
        network: encoder and decoder.
        likelihood: how x̂ is compared with x.
        corruption: what is done to x before it is encoded; none by default.
        optimizer: any of torch.optim.
        learning_rate: how the learning rate changes over the training; constant by default.
        initialization: how the weights of linear and convolutional layers are drawn.
        extra_terms: what else x̂ is compared by, beside the variant's own terms; none by default.
    """

    latent_parameters = 1
    draws = 1
    prior: Prior | None = None
    training_plan: TrainingPlan = SingleOptimizer()

    def __init__(
        self,
        spec: DataSpec,
        latent_dim: int = 16,
        network: Callable[[DataSpec, Sizes], Network] = MLP,
        likelihood: Callable[[DataSpec], Likelihood] = Gaussian,
        corruption: Callable[[DataSpec], Corruption] | None = None,
        optimizer: OptimizerCallable = torch.optim.Adam,
        learning_rate: LearningRateSchedule | None = None,
        initialization: Initialization = "default",
        extra_terms: list[Callable[[DataSpec], ExtraTerm]] = [],  # noqa: B006 - never changed, and shown
    ):
        super().__init__()
        if latent_dim < 1:
            raise UserError(f"model.latent_dim must be at least 1, not {latent_dim}.")
        self.spec, self.latent_dim = spec, latent_dim
        self.likelihood = likelihood(spec)
        sizes = Sizes(latent_dim, self.latent_parameters, self.likelihood.outputs_per_feature)
        self.network = network(spec, sizes)
        self.network.expected = self.likelihood.mean
        if self.network.has_skips and type(self).posterior is not LitAutoencoder.posterior:
            raise UserError(f"{type(self).__name__} hands no skips to the decoder: set model.network.skips to false.")
        self.corruption = corruption(spec) if corruption else None
        self.extra_terms = ExtraTerms(term(spec) for term in extra_terms)
        initialize(self.network, initialization)
        self._optimizer, self._learning_rate = optimizer, learning_rate
        self._epochs_before = 0.0

    # What a variant says

    def posterior(self, x: Tensor) -> Latent:
        """The latent of ``x`` ``(N, *spec.shape)``, and with it the skips that the decoder needs."""
        code, skips = self.network.encode_with_skips(x)
        latent = self.latent(code)
        latent.skips = skips
        return latent

    def latent(self, code: Tensor) -> Latent:
        """What the encoder's output ``(N, latent_parameters * latent_dim)`` stands for."""
        return Point(code)

    def forward_pass(self, x: Tensor, inputs: Tensor) -> Pass[Any]:
        """From the (corrupted) inputs through the latent to the likelihood of the clean x."""
        latent = self.posterior(inputs)
        z = latent.sample(self.draws)
        return Pass(x, inputs, latent, z, self.log_likelihood(x, z, latent.skips), {})

    def terms(self, passed: Pass[Any]) -> dict[str, Tensor]:
        """The objective's terms by name: costs in nats, ``(N,)`` each."""
        return {"reconstruction": -passed.log_likelihood.mean(0)}

    @property
    def weights(self) -> Mapping[str, Schedule]:
        """The terms' weights over time; 1 for a term that is not named."""
        return {}

    def figures(self, passed: Pass[Any]) -> dict[str, Tensor]:
        """What validation and test report beside the terms, by name: ``(N,)`` each, and no part of the loss."""
        return {}

    def alarms(self, figures: Mapping[str, float]) -> list[str]:
        """A sentence for whatever the last epoch's figures (``val/<term>`` and so on) warn of."""
        measures = self.measures()
        return measures.alarms(figures) if measures else []

    # What everyone may ask

    def encode(self, x: Tensor) -> Tensor:
        """The deterministic codes ``(N, latent_dim)`` of ``x``."""
        return self.posterior(x).mean

    def decode(self, z: Tensor, skips: Skips = ()) -> Tensor:
        """The expected x ``(N, *spec.shape)`` for codes ``(N, latent_dim)``."""
        return self.likelihood.mean(self.network.decode(z, skips=skips))

    def generate(self, z: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """x ``(N, *spec.shape)`` drawn from p(x|z) for codes ``(N, latent_dim)``, step by step where it has steps."""
        return self.network.generate(z, lambda outputs: self.likelihood.sample(outputs, generator))

    def forward(self, x: Tensor) -> Tensor:
        """The deterministic reconstruction of ``x``, of the same shape."""
        latent = self.posterior(x)
        return self.decode(latent.mean, latent.skips)

    def log_likelihood(self, x: Tensor, z: Tensor, skips: Skips = ()) -> Tensor:
        """log p(x|z) in nats, ``(draws, N)``, for ``z`` of shape ``(draws, N, latent_dim)`` and the skips of ``x``."""
        draws, rows = z.shape[:2]
        repeated, *sides = (t.expand(draws, *t.shape).flatten(0, 1) for t in (x, *skips))
        outputs = self.network.decode(z.flatten(0, 1), target=repeated, skips=tuple(sides))
        return self.likelihood.log_prob(outputs, repeated).view(draws, rows)

    def corrupt(self, x: Tensor) -> Tensor:
        """What is encoded in training: ``x`` damaged by the corruption, or ``x`` itself."""
        return x if self.corruption is None else self.corruption(x)

    def sample(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """``count`` expected x ``(count, *spec.shape)`` for codes drawn from the prior.

        Raises:
            UserError: the variant is not generative.
        """
        if self.prior is None:
            raise UserError(f"{type(self).__name__} has no prior to sample from: use a generative variant such as VAE.")
        return self.decode(self.prior.sample(count, generator).to(next(self.parameters())))

    @property
    def description(self) -> dict[str, Any]:
        """The model's make-up without spec and what belongs to the training alone: see :mod:`lit_ae.describe`."""
        left_out = ("spec", "optimizer", "adversary_optimizer", "learning_rate", "extra_terms")
        arguments = {name: value for name, value in self.init_args.items() if name not in left_out}
        return {**describe(type(self)), "with": describe(arguments)}

    # Training, the same for all

    @property
    def warmup_epochs(self) -> float:
        """Epochs until all that changes over the training is final."""
        return max(self.lengths.values(), default=0.0)

    @property
    def lengths(self) -> dict[str, float]:
        """By name, the epochs until what changes over the training is final."""
        return {name: schedule.length for name, schedule in self.every_weight.items()}

    @property
    def every_weight(self) -> dict[str, Schedule]:
        """The weights of the variant's terms and of the extra ones."""
        return {**self.weights, **self.extra_terms.weights}

    def every_term(self, passed: Pass[Any]) -> dict[str, Tensor]:
        """The variant's terms and the extra ones, which compare x with what is expected of the pass's (first) draw."""
        if not self.extra_terms:
            return self.terms(passed)
        x_hat = self.decode(passed.z[0], passed.latent.skips)
        return {**self.terms(passed), **self.extra_terms(x_hat, passed.x)}

    def objective(
        self, batch: Batch, epoch: float | None, measures: Measures | None = None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss and the terms' means over the batch; weights as of ``epoch``.

        For None it judges: with the final weights, and the figures beside the terms. The latents are shown to
        ``measures``, where there are any.
        """
        passed = self.forward_pass(batch.x, self.corrupt(batch.x))._replace(batch=batch)
        if measures is not None:
            measures.update(passed.latent)
        means = {name: term.mean() for name, term in self.every_term(passed).items()}
        weights = self.every_weight
        weighted = [weight_at(weights.get(name), epoch) * mean for name, mean in means.items()]
        loss = torch.stack(weighted).sum()
        if epoch is None:
            means |= {name: figure.mean() for name, figure in self.figures(passed).items()}
        return loss, means

    @final
    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        seed_step(self.trainer.global_step, self.global_rank, self.device)
        if batch_idx == 0:
            self._forget_epoch()
        epoch = self._epochs_before + self.trainer.global_step / self._steps_per_epoch
        loss, means = self.objective(batch, epoch, self._measures_of("train"))
        self._gather("train", loss, means, len(batch.x))
        return loss * batch.share

    @final
    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        self._judge("val", batch, batch_idx)

    @final
    def test_step(self, batch: Batch, batch_idx: int) -> None:
        self._judge("test", batch, batch_idx)

    def _judge(self, stage: str, batch: Batch, batch_idx: int) -> None:
        seed_step(batch_idx, self.global_rank, self.device)
        loss, means = self.objective(batch, None, self._measures_of(stage))
        name, measured = reconstruction_measure(batch.x, self(batch.x), self.spec)
        self._gather(stage, loss, {**means, name: measured.mean()}, len(batch.x))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_save_checkpoint(checkpoint)
        checkpoint["extra_terms"] = self.extra_terms.identities

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_load_checkpoint(checkpoint)
        self.extra_terms.check_same(checkpoint.get("extra_terms", []))

    def on_train_epoch_end(self) -> None:
        super().on_train_epoch_end()
        moving = {name: schedule for name, schedule in self.every_weight.items() if schedule.length}
        epoch = self._epochs_before + self.trainer.global_step / self._steps_per_epoch
        self.log_dict({f"weight/{name}": s.at(epoch) for name, s in moving.items()})
        self.log("learning_rate", self.trainer.optimizers[0].param_groups[0]["lr"])

    def on_fit_start(self) -> None:
        if not torch.cuda.is_available():
            os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "0"  # Lightning's, and Adam would ask in vain at every step
        self.check_schedules(self._steps / self._steps_per_epoch)
        if self.network.caution:
            rank_zero_warn(self.network.caution)

    def check_schedules(self, epochs: float) -> None:
        """Refuses schedules that don't come to their end in a training of so many epochs.

        Raises:
            UserError: naming the schedule.
        """
        rate = self._learning_rate.warmup_epochs if self._learning_rate else 0.0
        check_lengths({**self.lengths, "the learning rate": rate}, self._epochs_before + epochs)

    def continue_training(self, rate: float) -> None:
        """Makes the next training one of a trained model: every weight is final from its first step on.

        Args:
            rate: what the optimizer's learning rate is multiplied by; it stays constant.
        """
        self._epochs_before = self.warmup_epochs
        self._optimizer, self._learning_rate = slowed(self._optimizer, rate), None

    @property
    def _steps(self) -> float:
        return self.trainer.estimated_stepping_batches

    @property
    def _steps_per_epoch(self) -> int:
        batches = self.trainer.num_training_batches
        return max(1, -(-int(batches) // self.trainer.accumulate_grad_batches))

    def configure_optimizers(self) -> Any:
        steps = self._steps
        optimizer = self.training_plan.optimizer(self, self._optimizer)
        if self._learning_rate is None:
            return optimizer
        per_epoch = self._steps_per_epoch
        return {"optimizer": optimizer, "lr_scheduler": self._learning_rate.configure(optimizer, int(steps), per_epoch)}
