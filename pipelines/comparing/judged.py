"""What each model does on the same test rows."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from data import LitData
from lit_ae.detection.detector import Detector
from lit_ae.errors import UserError
from lit_ae.metrics.chunks import in_chunks
from lit_ae.metrics.ranking import Booleans, Floats
from lit_ae.metrics.reconstruction import reconstruction_errors
from lit_ae.module import LitAutoencoder
from lit_ae.serving.files import load, load_detector
from pipelines.comparing.contestants import Contestant
from pipelines.evaluate import section_argument
from pipelines.judging.anomalies import Labels, Said
from pipelines.judging.detection import opinion
from pipelines.seen import SeenBy, check_fit, configured

SHOWN = 12  # test rows whose reconstructions are kept for the pictures


@dataclass(frozen=True)
class Entrant:
    """A contestant with its model and its test rows.

    Attributes:
        contestant: who it is.
        model: ready to infer, on the CPU.
        detector: the model's, or None.
        data: the test rows as the model sees them.
    """

    contestant: Contestant
    model: LitAutoencoder
    detector: Detector | None
    data: SeenBy

    @property
    def x(self) -> Tensor:
        """The test rows in model space ``(N, *spec.shape)``."""
        return self.data.split("test").x


@dataclass(frozen=True)
class Judged:
    """What a model does on the test rows.

    Attributes:
        errors: of each test row ``(N,)``: see :func:`lit_ae.metrics.reconstruction.reconstruction_errors`.
        x_hat: reconstructions of the first :data:`SHOWN` rows.
        said: what its detector says of the rows that it scores, or None.
        scored: which rows these are ``(N,)``, or None.
    """

    errors: Floats
    x_hat: Tensor
    said: Said | None = None
    scored: Booleans | None = None


def entrants(contestants: Sequence[Contestant], arguments: list[str]) -> list[Entrant]:
    """Every model beside its data: those of its own run, or those of the arguments, where there are any.

    Raises:
        UserError: the data of a model are not known, or do not fit it.
    """
    known: dict[str, LitData] = {}
    found = []
    for one in contestants:
        words = arguments or section_argument(section_of(one))
        key = json.dumps(words)
        if key not in known:
            known[key] = configured(words)["data"]
            known[key].prepare_data()
        model = load(one.folder)
        check_fit(model.spec, known[key].spec)
        seen = SeenBy(model.spec, known[key])
        seen.setup("test")
        found.append(Entrant(one, model, load_detector(one.folder, model), seen))
    return found


def section_of(one: Contestant) -> Any:
    """The section data of the run that the model comes from.

    Raises:
        UserError: nobody knows it.
    """
    section = (one.config or {}).get("data")
    if section is None:
        raise UserError(f"Nothing says which data {one.address} is to be judged on: name them by --data CLASS.")
    return section


def require_same_rows(entered: Sequence[Entrant]) -> str:
    """The digest of the test rows that all have.

    Raises:
        UserError: naming two models that have different ones, and both digests.
    """
    digests = [one.data.data.digest_of("test") for one in entered]
    for one, digest in zip(entered, digests, strict=True):
        if digest != digests[0]:
            raise UserError(
                f"{told(entered[0], digests[0])}, and {told(one, digest)}: compare models of the same test rows, or "
                "name the rows for all by --data CLASS."
            )
    return digests[0]


def told(one: Entrant, digest: str) -> str:
    """A model and its test rows in words."""
    rows = one.data.data.split_sizes["test"]
    return f"{one.contestant.name} has {rows:,} test rows of {one.data.data.spec.name} with the digest {digest[:12]}"


def see_alike(entered: Sequence[Entrant]) -> bool:
    """Whether the test rows are the same numbers for all models, so that their errors are of one unit."""
    return all(one.x.shape == entered[0].x.shape and torch.equal(one.x, entered[0].x) for one in entered)


def labels_of(entrant: Entrant) -> Labels | None:
    """What is known of the test rows; None where they have no labels of normal and anomalous."""
    return Labels.of(entrant.data.rows["test"], entrant.data.families)


def judge(entrant: Entrant) -> Judged:
    """Errors, a few reconstructions, and scores."""
    x, spec = entrant.x, entrant.model.spec
    errors = [reconstruction_errors(piece, entrant.model(piece), spec) for piece in x.split(1000)]
    said, scored = opinion(entrant.detector, x) if entrant.detector else (None, None)
    x_hat = in_chunks(entrant.model, x[:SHOWN])
    return Judged(torch.cat(errors).double().numpy().astype(np.float64), x_hat, said, scored)
