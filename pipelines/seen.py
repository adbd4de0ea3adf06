"""Data as a trained model sees them: whose rows are judged by it, whatever data they come from."""

from functools import cached_property
from typing import Any

from jsonargparse import ArgumentError, ArgumentParser
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from torch import Tensor

from data import LitData
from data.base import Role, Rows
from lit_ae.errors import UserError
from lit_ae.schema import Schema
from lit_ae.spec import DataSpec
from pipelines.mistakes import explained
from pipelines.options import Evaluation, Tracking


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
