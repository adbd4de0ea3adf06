"""An evaluation from the first check to the report: read it from :func:`evaluate_model` downwards."""

from functools import cached_property
from pathlib import Path
from typing import Any

import lightning as L
from jsonargparse import ArgumentError, ArgumentParser
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from torch import Tensor

from data import LitData
from data.base import Role, Rows
from lit_ae.detection.detector import Detector
from lit_ae.errors import UserError
from lit_ae.module import LitAutoencoder
from lit_ae.schema import Schema
from lit_ae.serving.files import load, load_detector
from lit_ae.spec import DataSpec
from pipelines.configuration import TRAINER_DEFAULTS
from pipelines.evaluate import Question
from pipelines.evaluation import evaluate
from pipelines.mistakes import explained
from pipelines.models import fetch_model
from pipelines.options import Evaluation, Tracking
from pipelines.portfolio import draw_portfolio
from pipelines.provenance import code_version, describe_run
from pipelines.summary import print_figures, ui_command, write_figures
from pipelines.terminal import keep_quiet
from pipelines.tracking import Tracker


def evaluate_model(question: Question) -> int:
    """Judges one model on one data set as exactly one MLflow run; returns the exit code.

    Raises:
        UserError: for a mistake; where it can be seen before the run is opened, none is.
    """
    keep_quiet()
    asked = configured(question.arguments)
    tracking: Tracking = asked["tracking"]
    folder = fetch_model(question.model, Path(tracking.output_dir))
    model = load(folder)
    data = SeenBy(model.spec, asked["data"])
    data.prepare_data()
    check_fit(model.spec, data.data.spec)
    data.setup("test")
    name = tracking.run_name or f"evaluate {describe_run(model, data)[0]}"
    tracker = Tracker.open(tracking.experiment, name, output_dir=Path(tracking.output_dir))
    try:
        judge(question.model, load_detector(folder, model), model, data, asked["evaluation"], tracker)
    except BaseException as error:
        tracker.finish("KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED", str(error))
        raise
    tracker.finish("FINISHED")
    return 0


def configured(arguments: list[str]) -> Any:
    """Data and options, made from the words of the command.

    Raises:
        UserError: for a value that can't be.
    """
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(LitData, "data", required=True)
    parser.add_class_arguments(Evaluation, "evaluation")
    parser.add_class_arguments(Tracking, "tracking")
    try:
        return parser.instantiate_classes(parser.parse_args(arguments))
    except (ArgumentError, MisconfigurationException, ValueError, TypeError) as error:
        raise explained(error) from error


class SeenBy(LitData):
    """Data as a model sees them: by its own preprocessing, whatever the data's would be.

    Args:
        spec: the model's.
        data: gives the rows.
    """

    def __init__(self, spec: DataSpec, data: LitData):
        super().__init__(str(data.root), data.batch_size, data.seed)
        self.data, self._of_model = data, spec

    @cached_property
    def spec(self) -> DataSpec:
        """The model's spec, under the name of the data."""
        spec = DataSpec.from_dict(self._of_model.to_dict())
        spec.name, spec.synthetic = self.data.spec.name, self.data.spec.synthetic
        return spec

    def prepare_data(self) -> None:
        self.data.prepare_data()

    @cached_property
    def rows(self) -> dict[Role, Rows]:
        """The data's rows as the model numbers their categories."""
        rows = self.data.rows
        self.families, self.left_out, self.noticed = self.data.families, self.data.left_out, self.data.noticed
        ours, theirs = self.spec.schema, self.data.spec.schema
        if ours is None or theirs is None or ours.to_dict() == theirs.to_dict():
            return rows
        return {role: one._replace(raw=recoded(one.raw, theirs, ours)) for role, one in rows.items()}

    def load(self) -> dict[Role, Rows]:
        return self.rows

    def optimal_scores(self, rows: Rows) -> Tensor | None:
        return self.data.optimal_scores(self.data.rows["test"])

    @property
    def spiked(self) -> list[int]:
        """The features that made-up anomalies change; none for other data."""
        return getattr(self.data, "spiked", [])


def recoded(raw: Tensor, theirs: Schema, ours: Schema) -> Tensor:
    """Rows ``(..., columns)`` of one schema as those of another, by the columns' names and the categories."""
    flat = ours.encode(theirs.decode(raw.flatten(0, -2)), "The data")
    return flat.unflatten(0, raw.shape[:-1])


def check_fit(spec: DataSpec, given: DataSpec) -> None:
    """Refuses data that the model can't read.

    Raises:
        UserError: saying what differs.
    """
    differing = [
        ("samples of kind", spec.kind, given.kind),
        ("columns", _columns(spec), _columns(given)),
        ("samples of shape", _shape(spec), _shape(given)),
        ("tokens", " ".join(spec.vocabulary), " ".join(given.vocabulary)),
    ]
    for what, ours, theirs in differing:
        if ours != theirs:
            raise UserError(
                f"The model takes {what} {ours[:200] or 'none'}, and {given.name} has {theirs[:200] or 'none'}: choose "
                "data that fit the model."
            )


def _columns(spec: DataSpec) -> str:
    return ", ".join(sorted(spec.schema.names)) if spec.schema else ""


def _shape(spec: DataSpec) -> str:
    """The shape; of a table's it is the number of rows that a sample has, as features follow from the training rows."""
    return str(list(spec.shape[:-1] if spec.schema else spec.shape))


def judge(
    address: str,
    detector: Detector | None,
    model: LitAutoencoder,
    data: SeenBy,
    asked: Evaluation,
    tracker: Tracker,
) -> None:
    """Figures, pictures and the report, in the run."""
    description = f"{describe_run(model, data)[1]} Evaluation of {address}."
    told = {"variant": type(model).__name__, "network": type(model.network).__name__, "evaluated": address}
    tracker.set_tags({**told, "data": data.spec.name, "synthetic": str(data.spec.synthetic).lower()})
    tracker.set_tags(code_version())
    tracker.log_params({"evaluated": address, **{f"evaluation/{k}": v for k, v in vars(asked).items()}})
    shape = model.spec.shape
    source = f"{type(data.data).__name__}, {data.data.root}"
    tracker.log_dataset(data.spec.name, data.digest, {"test": data.split_sizes["test"]}, source, shape)
    verdict = evaluate(model, data, asked, tester(), detector)
    tracker.log_metrics(verdict.figures, 0)
    write_figures(verdict, tracker, description)
    pictures = draw_portfolio(model.cpu(), data, verdict, {}, tracker, asked.tsne_rows)
    print_figures(verdict, f"{type(model).__name__} on {data.spec.name}, {data.split_sizes['test']:,} test rows")
    print(f"\nPictures    {pictures}\nRun         {tracker.run_id}\nLook        {ui_command()}")


def tester() -> L.Trainer:
    """A Trainer of one device that logs nothing."""
    options: dict[str, Any] = {**TRAINER_DEFAULTS, "logger": False, "enable_checkpointing": False, "devices": 1}
    return L.Trainer(**options, enable_progress_bar=False, enable_model_summary=False)
