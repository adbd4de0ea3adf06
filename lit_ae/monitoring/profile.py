"""What a model keeps of its fit and calibration rows to be watched by; nothing of it has seen the test rows."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lit_ae.detection.blocks import in_blocks
from lit_ae.detection.dependence import correlation_time
from lit_ae.detection.detector import Detector
from lit_ae.monitoring.features import Feature, points_for
from lit_ae.monitoring.latent import LatentProfile
from lit_ae.monitoring.ranks import KEPT, Ranks, strangeness
from lit_ae.spec import DataSpec

VERSION = 1
BLOCKS_TOLD = 20  # blocks that a spread of their averages is taken from, at least


@dataclass(frozen=True)
class Promise:
    """The share of normal rows that alarm, as the calibration rows promise it.

    Attributes:
        budget: the share that was asked for.
        threshold: a row alarms above it.
        rule: how the budget became a threshold.
        calibration_rows: how many there were.
        effective_rows: how many independent rows they are worth.
        above: how many of these lie above the threshold.
        block_rows: rows of a series that say as much as one independent row.
    """

    budget: float
    threshold: float
    rule: str
    calibration_rows: int
    effective_rows: float
    above: float
    block_rows: int

    @staticmethod
    def of(detector: Detector) -> "Promise":
        """What the detector's calibration promises."""
        known = detector.calibration
        above = float(known.weights[known.scores > detector.threshold].sum())
        block = max(1, int(detector.notes["block_rows"]))
        settings = detector.settings
        return Promise(
            settings.budget, detector.threshold, settings.rule, len(known.scores), known.effective_rows, above, block
        )

    @property
    def law(self) -> tuple[float, float]:
        """The two parameters of the Beta law of the share of normal rows above the threshold.

        It lies between two order statistics of n exchangeable scores, k of them above: Beta(k + 1, n - k), whatever
        the scores' distribution (Vovk 2012, Conditional validity of inductive conformal predictors, section 3).
        """
        return self.above + 1, max(1.0, self.effective_rows - self.above)

    @property
    def interval(self) -> tuple[float, float]:
        """The share lies between the two with 95 %."""
        from scipy.stats import beta

        low, high = beta.interval(0.95, *self.law)
        return float(low), float(high)


class Profile(NamedTuple):
    """What rows are compared with.

    Attributes:
        promise: of alarms.
        ranks: the calibration's p-values.
        scores: those of the calibration rows in rising order, of many every so many ``(n,)``.
        stream: strangeness of the calibration rows in time order, or of blocks of them, ``(n,)``.
        block_spread: standard deviation of a block's average strangeness.
        features: of the fit and calibration rows.
        latent: of the codes; None where they are too wide.
    """

    promise: Promise
    ranks: Ranks
    scores: NDArray[np.float64]
    stream: NDArray[np.float64]
    block_spread: float
    features: tuple[Feature, ...]
    latent: LatentProfile | None

    @staticmethod
    def of(detector: Detector, fit: "Seen", calibrate: "Seen") -> "Profile":
        """Of a detector that was calibrated with the calibrate rows."""
        spec = detector.model.spec
        bare = Profile.calibrated(detector, calibrate)
        earlier, later = codes_of(detector, fit.x), codes_of(detector, calibrate.x)
        latent = LatentProfile.of(earlier, later, bare.promise.effective_rows)
        return bare._replace(features=features_of(spec, fit, calibrate), latent=latent)

    @staticmethod
    def calibrated(detector: Detector, calibrate: "Seen") -> "Profile":
        """What follows from the calibration rows alone; features and latent are empty."""
        known, promise = detector.calibration, Promise.of(detector)
        ranks = Ranks.of(known.p_values(known.scores).numpy(), known.weights.numpy())
        scores = detector.score(calibrate.x)
        kept = scores == scores
        entity = None if calibrate.entity is None else calibrate.entity[kept]
        strange = strangeness(ranks.uniform(known.p_values(scores[kept]).numpy()))
        stream, spread = in_time(strange, entity, promise.block_rows)
        thinned = known.scores.numpy()[:: max(1, len(known.scores) // KEPT)]
        return Profile(promise, ranks, thinned, stream[-KEPT:], spread, (), None)

    def state(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Plain JSON values and tensors, from which :meth:`restore` makes an equal profile."""
        features = [
            {key: value for key, value in vars(one).items() if key not in ("edges", "shares")} for one in self.features
        ]
        plain = {"version": VERSION, "promise": {**asdict(self.promise), "threshold": str(self.promise.threshold)}}
        plain |= {"promised_interval": list(self.promise.interval), "block_spread": self.block_spread}
        plain |= {"features": [{**one, "labels": list(one["labels"])} for one in features]}
        arrays = {"ranks.p_values": self.ranks.p_values, "ranks.below": self.ranks.below}
        arrays |= {"scores": self.scores, "stream": self.stream}
        for place, one in enumerate(self.features):
            arrays |= {f"edges.{place}": one.edges, f"shares.{place}": one.shares}
        if self.latent is not None:
            plain["latent"] = {"rows": self.latent.rows, "unrest": self.latent.unrest}
            arrays |= {"latent.mean": self.latent.mean, "latent.whitening": self.latent.whitening}
        return plain, {name: torch.from_numpy(np.ascontiguousarray(array)).double() for name, array in arrays.items()}

    @staticmethod
    def restore(plain: dict[str, Any], tensors: dict[str, Tensor]) -> "Profile":
        """The profile that :meth:`state` was taken of."""
        arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
        promise = Promise(**{**plain["promise"], "threshold": float(plain["promise"]["threshold"])})
        features = tuple(
            Feature(**{**one, "labels": tuple(one["labels"])}, edges=arrays[f"edges.{k}"], shares=arrays[f"shares.{k}"])
            for k, one in enumerate(plain["features"])
        )
        latent = None
        if "latent" in plain:
            latent = LatentProfile(arrays["latent.mean"], arrays["latent.whitening"], **plain["latent"])
        ranks = Ranks(arrays["ranks.p_values"], arrays["ranks.below"])
        return Profile(promise, ranks, arrays["scores"], arrays["stream"], plain["block_spread"], features, latent)


class Seen(NamedTuple):
    """Normal rows.

    Attributes:
        x: in model space ``(N, *spec.shape)``.
        raw: in the user's units: columns ``(N, C)``, windows of them ``(N, T, C)``, or samples.
        entity: which series each belongs to ``(N,)``; None for independent rows or a single series.
    """

    x: Tensor
    raw: Tensor
    entity: Tensor | None = None


def codes_of(detector: Detector, x: Tensor) -> NDArray[np.float64]:
    """Codes ``(N, L)`` of the detector's first model."""
    encode = detector.model.encode
    return in_blocks(lambda rows: {"z": encode(rows).flatten(1)}, x)["z"].double().numpy()


def rows_of(raw: Tensor, spec: DataSpec) -> NDArray[np.float64]:
    """What features are counted of: ``(N, features)``; of a window of a table its last row, of tokens nothing."""
    if spec.kind == "sequence":
        return np.empty((len(raw), 0))
    if spec.schema is not None and len(spec.shape) > 1:
        raw = raw[:, -1]
    return raw.flatten(1).double().numpy()


def features_of(spec: DataSpec, fit: Seen, calibrate: Seen) -> tuple[Feature, ...]:
    """Each feature of the fit and calibration rows together."""
    earlier, later = rows_of(fit.raw, spec), rows_of(calibrate.raw, spec)
    is_series = calibrate.entity is not None or spec.kind == "series"
    names, labels = _columns(spec, earlier.shape[1])
    found = []
    for place, name in enumerate(names):
        both = np.append(earlier[:, place], later[:, place])
        one = _feature(name, both, labels[place], points_for(len(names)))
        first = _feature(name, earlier[:, place], labels[place], points_for(len(names)))
        unrest = first.difference(first.count(later[:, place])).distance
        time = correlation_time(torch.from_numpy(np.nan_to_num(later[:, place]))) if is_series else 1.0
        found.append(Feature(**{**vars(one), "unrest": unrest, "correlation_time": time}))
    return tuple(found)


def _columns(spec: DataSpec, count: int) -> tuple[list[str], list[Sequence[str] | None]]:
    """Names, and the categories of what is categorical."""
    if spec.schema is None:
        return [f"value {place}" for place in range(count)], [None] * count
    columns = spec.schema.columns
    return spec.schema.names, [one.categories if one.kind == "categorical" else None for one in columns]


def _feature(name: str, values: NDArray[np.float64], labels: Sequence[str] | None, points: int) -> Feature:
    return Feature.numeric(name, values, points) if labels is None else Feature.categorical(name, values, labels)


def in_time(strange: NDArray[np.float64], entity: Tensor | None, block_rows: int) -> tuple[NDArray[np.float64], float]:
    """Strangeness ``(n,)`` in time order as a :class:`Stream` counts it, and the spread of a block's average."""
    if block_rows == 1:
        return strange, 1.0
    groups = [strange] if entity is None else [strange[(entity == one).numpy()] for one in entity.unique()]
    blocks = [one[: len(one) // block_rows * block_rows].reshape(-1, block_rows).mean(1) for one in groups]
    means = np.concatenate(blocks)
    spread = float(means.std()) if len(means) >= BLOCKS_TOLD else 1.0
    return means / max(spread, 1e-6), max(spread, 1e-6)
