"""The scores of one model: each says by itself how unlike normal rows a row is, and higher is worse."""

import math
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from lit_ae.detection.blocks import in_blocks
from lit_ae.detection.codes import WIDEST, Bank, Cloud
from lit_ae.detection.packing import pack, unpack
from lit_ae.detection.residuals import Norms, magnitudes, mean_of_top, relative_error
from lit_ae.detection.settings import DetectionSettings
from lit_ae.latents import DiagonalGaussian, Latent
from lit_ae.module import LitAutoencoder
from lit_ae.randomness import mix
from lit_ae.variants.adversarial_autoencoder import AdversarialAutoencoder

STRANGE, ROUNDS = 2.5, 4  # normal residuals beyond which a feature is not believed; how often that is asked
FIT_ROWS = 50_000  # training rows that the codes' statistics are fitted on, at most


class Seen(NamedTuple):
    """What a model makes of rows: codes ``(N, latent_dim)``, and x̂ - x ``(N, *spec.shape)``."""

    z: Tensor
    residual: Tensor
    latent: Latent


class Witness:
    """A model and what it has seen of normal rows.

    Args:
        model: trained, on the CPU, in evaluation mode.
        settings: what to measure.
        norms: residuals of held-out normal rows; None for sequences of tokens, which have no residual.
        cloud: the ellipsoid of training codes; None where codes are too wide.
        bank: training codes.
        drift: for series, the ellipsoid of training windows' means; else None.
    """

    def __init__(
        self,
        model: LitAutoencoder,
        settings: DetectionSettings,
        norms: Norms | None,
        cloud: Cloud | None,
        bank: Bank,
        drift: Cloud | None,
    ):
        self.model, self.settings = model, settings
        self.norms, self.cloud, self.bank, self.drift = norms, cloud, bank, drift

    @classmethod
    def fit(cls, model: LitAutoencoder, fit: Tensor, tune: Tensor, settings: DetectionSettings) -> "Witness":
        """Where the training rows' codes lie, and what is left of held-out normal rows."""
        model = model.cpu().eval()
        spec = model.spec
        some = Bank.choose(len(fit), FIT_ROWS, 1, settings.seed)
        z = _codes(model, fit[some])
        numbers = spec.features + z.shape[1]
        kept = Bank.choose(len(some), settings.bank_size, numbers, mix(settings.seed, 1))
        cloud = Cloud.of(z) if z.shape[1] <= WIDEST else None
        bank = Bank(z[kept].double() if cloud is None else cloud.whiten(z[kept]), fit[some[kept]], some[kept])
        norms = None
        if spec.kind != "sequence":
            left = in_blocks(lambda x: {"m": magnitudes(_seen(model, x).residual, spec)}, tune)["m"]
            norms = Norms.of(left)
        drift = Cloud.of(fit[some].mean(1)) if spec.kind == "series" else None
        return cls(model, settings, norms, cloud, bank, drift)

    def scores(self, x: Tensor, wanted: Collection[str] | None = None) -> dict[str, Tensor]:
        """The scores that are wanted, by default all that the model and its data have, by name, of one block of rows.

        Each is ``(N,)``. Those that cost little are always among them.
        """
        seen = _seen(self.model, x)
        scores = {} if self.norms is None else self._of_residual(seen.residual, self.norms)
        if self.norms is not None and (wanted is None or "imputed_features" in wanted):
            left = magnitudes(self.imputed(x, seen.residual), self.model.spec)
            scores["imputed_features"] = self._top(left, self.norms)
        if self.model.spec.kind == "image":
            scores["relative_error"] = relative_error(x, seen.residual, self.model.spec)
        if wanted is None or "log_probability" in wanted:
            scores["log_probability"] = -self._log_probability(x, seen.latent)
        if wanted is None or "neighbours" in wanted:
            scores["neighbours"] = self.neighbours(seen.z)[0][:, -1]
        if self.cloud is not None:
            scores["mahalanobis"] = self.cloud.distance(seen.z)
        if self.drift is not None:
            scores["level_shift"] = self.drift.distance(x.mean(1))
        if isinstance(self.model, AdversarialAutoencoder):
            scores["discriminator"] = -self.model.discriminator(seen.z)
        return scores

    def neighbours(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Distances and places in the bank of the nearest normal codes, ``(N, neighbours)``."""
        whitened = z.double() if self.cloud is None else self.cloud.whiten(z)
        return self.bank.nearest(whitened, self.settings.neighbours)

    def residuals(self, x: Tensor, inside: Tensor) -> dict[str, Tensor]:
        """Of one block: codes, x̂ - x by :meth:`imputed`, and each feature's share of its normal residual ``(N, F)``.

        Of tokens see :meth:`_of_tokens`; a token's ratio is the root of its surprise.

        Args:
            x: rows in model space.
            inside: the same rows as the model is asked about them, see :meth:`Hull.clamped`.
        """
        seen = _seen(self.model, inside)
        if self.norms is None:
            residual, surprise = self._of_tokens(x, seen.latent)
            return {"z": seen.z, "residual": residual, "ratios": surprise.sqrt()}
        residual = self.imputed(inside, seen.residual) + (inside - x)
        return {"z": seen.z, "residual": residual, "ratios": magnitudes(residual, self.model.spec) / self.norms.sigma}

    def _of_tokens(self, x: Tensor, latent: Latent) -> tuple[Tensor, Tensor]:
        """The most probable ids after the tokens before them, minus x; and -log p of x where they differ, ``(N, T)``.

        What is padding is as expected.
        """
        outputs = self.model.network.decode(latent.mean, target=x, skips=latent.skips)
        surprise = F.cross_entropy(outputs, x.long(), reduction="none")
        expected = outputs.argmax(1).to(x.dtype)
        if self.model.spec.pad is not None:
            expected = expected.where(x != self.model.spec.pad, x)
        return expected - x, surprise * (expected != x)

    def imputed(self, x: Tensor, residual: Tensor) -> Tensor:
        """x̂ - x where x̂ is made of the features that are not strange.

        A strange feature draws the code towards it, and then its neighbours look strange too. So strange features are
        replaced by what is expected of them, and the model is asked again, ``ROUNDS`` times.

        Args:
            x: rows in model space.
            residual: what is left of them at first.
        """
        if self.norms is None:
            return residual
        sigma = self.norms.sigma
        limit = STRANGE * (sigma if self.model.spec.kind == "series" else sigma.view(x.shape[1:]))
        for _ in range(ROUNDS):
            believed = torch.where(residual.abs() > limit, x + residual, x)
            residual = believed + _seen(self.model, believed).residual - x
        return residual

    def tensors(self, prefix: str) -> dict[str, Tensor]:
        """All but the model, for :meth:`restore`."""
        groups = {"norms": self.norms, "cloud": self.cloud, "bank": self.bank, "drift": self.drift}
        packed = [pack(f"{prefix}.{name}", group) for name, group in groups.items()]
        return {name: tensor for group in packed for name, tensor in group.items()}

    @classmethod
    def restore(
        cls, model: LitAutoencoder, settings: DetectionSettings, prefix: str, tensors: Mapping[str, Tensor]
    ) -> "Witness":
        """The witness whose :meth:`tensors` stand under ``prefix``."""
        kinds = (("norms", Norms), ("cloud", Cloud), ("bank", Bank), ("drift", Cloud))
        groups: dict[str, Any] = {name: unpack(kind, f"{prefix}.{name}", tensors) for name, kind in kinds}
        return cls(model, settings, **groups)

    def _of_residual(self, residual: Tensor, norms: Norms) -> dict[str, Tensor]:
        left = magnitudes(residual, self.model.spec)
        whole = (left / norms.sigma).clamp(max=self.settings.clip).square().mean(1)
        scores = {"residual": whole, "top_features": self._top(left, norms)}
        squares = residual.square()
        if self.model.spec.kind == "series":
            now = {"reconstruction_error": squares[:, -1].mean(1), "rolling_error": squares.mean((1, 2))}
            return {**now, **scores}
        return {"reconstruction_error": squares.flatten(1).mean(1), **scores}

    def _top(self, left: Tensor, norms: Norms) -> Tensor:
        ratios = (left / norms.reach).clamp(max=self.settings.clip)
        return mean_of_top(ratios, self.settings.top_features)

    def _log_probability(self, x: Tensor, latent: Latent) -> Tensor:
        """log p(x|z) at the posterior mean, or the importance-weighted bound of ``draws`` codes, always the same."""
        if not self.settings.draws or not isinstance(latent, DiagonalGaussian):
            return self.model.log_likelihood(x, latent.mean[None], latent.skips)[0].double()
        generator = torch.Generator().manual_seed(self.settings.seed)
        noise = torch.randn(self.settings.draws, 1, latent.mean.shape[1], generator=generator)
        z = latent.mean + noise * (0.5 * latent.log_var).exp()
        weights = self.model.log_likelihood(x, z, latent.skips) - latent.log_prob(z)
        prior: Any = self.model.prior
        if hasattr(prior, "log_prob"):
            weights = weights + prior.log_prob(z)
        return weights.double().logsumexp(0) - math.log(self.settings.draws)


def _seen(model: LitAutoencoder, x: Tensor) -> Seen:
    latent = model.posterior(x)
    residual = model.decode(latent.mean, latent.skips) - x
    return Seen(latent.mean, residual, latent)


def _codes(model: LitAutoencoder, x: Tensor) -> Tensor:
    return in_blocks(lambda rows: {"z": model.encode(rows)}, x)["z"]
