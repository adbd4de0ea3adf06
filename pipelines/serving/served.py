"""One version of a model, loaded, warmed up, and ready to answer."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models import Model
from safetensors import SafetensorError

from lit_ae.errors import UserError
from lit_ae.serving.addresses import DAMAGED
from lit_ae.serving.scorer import Scorer, _load_pyfunc, default_output
from lit_ae.spec import DataSpec
from pipelines.models import INSIDE, fetch_model

SHOWN = 2  # rows of an example


@dataclass(frozen=True)
class Served:
    """A version that answers.

    Attributes:
        name: the registered model's, or the address.
        version: its number, or what stands in its place for a model that is not registered.
        scorer: answers.
        description: MLflow's, of the MLmodel file.
        example: a few rows as the user writes them.
    """

    name: str
    version: str
    scorer: Scorer
    description: Model
    example: Any

    @property
    def spec(self) -> DataSpec:
        return self.scorer.model.spec

    @property
    def output(self) -> str:
        """What comes back unasked."""
        return default_output(self.scorer.detector)

    @property
    def interface(self) -> dict[str, Any]:
        """What a client must know to ask and to understand the answer; plain values."""
        spec, schema = self.spec, self.spec.schema
        rows: Any = list(spec.shape) if spec.codec is None else "strings"
        if schema is not None:
            rows = {column.name: column.kind for column in schema.columns}
        series = None if schema is None or len(spec.shape) == 1 else schema.entity
        return {"rows": rows, "series": series, "output unasked": self.output}

    @property
    def shown(self) -> Any:
        """Some rows of the example that the model answers, one at least: a few, or those of a window."""
        schema, steps = self.spec.schema, self.spec.shape[0]
        if schema is None or len(self.spec.shape) == 1:
            return self.example[:SHOWN]
        return pd.concat([self.example[schema.names]] * steps, ignore_index=True)[:steps]

    def warm_up(self) -> None:
        """Answers the example once, so that no user waits for what happens at the first time.

        Raises:
            UserError: it can't.
        """
        try:
            self.scorer.predict(self.shown)
        except (MlflowException, *DAMAGED) as error:
            raise UserError(f"{self.name} {self.version} does not answer its own example: {error}.") from error


def load(address: str, name: str, version: str, output_dir: Path, device: str) -> Served:
    """Fetches, loads and warms up; what is fetched is removed again, as weights and description are in memory then.

    Only data is read: the code that was packed with the model is not run.

    Args:
        address: of the model, see :data:`pipelines.models.FORMS`.
        name: of :class:`Served`.
        version: of :class:`Served`.
        output_dir: where runs keep their files on this machine.
        device: in PyTorch's words.

    Raises:
        UserError: there is no such model, or it is not whole, or none of ours, or does not answer.
    """
    with tempfile.TemporaryDirectory(prefix="lit_ae_") as scratch:
        inside = fetch_model(address, output_dir, Path(scratch))
        packed = inside.parents[len(INSIDE.parts) - 1]
        try:
            scorer = _load_pyfunc(str(inside))
            description = Model.load(str(packed))
            example = description.load_input_example(str(packed))
        except (MlflowException, SafetensorError, OSError, *DAMAGED) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise UserError(f"{address} can't be loaded ({reason}): it is damaged, pack it again.") from error
    served = Served(name, version, scorer.to(device), description, example)
    served.warm_up()
    return served
