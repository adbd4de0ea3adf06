"""A model that takes part in a promotion: its files, what they make, and the run that it comes from."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Run

from lit_ae.detection.detector import Detector
from lit_ae.errors import UserError
from lit_ae.module import LitAutoencoder
from lit_ae.serving.files import load, load_detector
from lit_ae.serving.scorer import Scorer
from pipelines.models import fetch_model
from pipelines.registry import origin_of
from pipelines.store import find_run, tracking_uri


@dataclass
class Contender:
    """One of the two.

    Attributes:
        address: where it was fetched.
        version: of the registered model; None where it is not registered.
        run: that made it.
        inside: the folder of the model's own files.
        model: ready to infer.
        detector: its own, or None.
    """

    address: str
    version: str | None
    run: Run
    inside: Path
    model: LitAutoencoder
    detector: Detector | None

    @property
    def folder(self) -> Path:
        """The whole packed model."""
        return self.inside.parents[1]

    @property
    def size(self) -> int:
        """Bytes of the packed model."""
        return sum(file.stat().st_size for file in self.folder.rglob("*") if file.is_file())

    @cached_property
    def scorer(self) -> Scorer:
        """What answers where the model is served."""
        return Scorer(self.model, self.detector)


def fetch(client: MlflowClient, address: str, scratch: Path) -> Contender:
    """A contender by its address, its files in a folder of their own below ``scratch``.

    Raises:
        UserError: there is no such model, it is none of ours or not whole, or it comes from no run.
    """
    origin = origin_of(client, address)
    if origin.run_id is None:
        raise UserError(
            f"{address} comes from no run, so nobody knows what it was trained on: train it by this project."
        )
    run = find_run(client, tracking_uri(), origin.run_id)
    inside = fetch_model(address, scratch=scratch)
    model = load(inside)
    return Contender(address, origin.version, run, inside, model, load_detector(inside, model))
