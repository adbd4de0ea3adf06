"""The model as MLflow runs it. MLflow reads this file as the model's code; it stands beside weights and description."""

from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import torch
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import PythonModel
from torch import Tensor

from lit_ae.metrics.chunks import in_chunks
from lit_ae.metrics.reconstruction import squared_error
from lit_ae.module import LitAutoencoder
from lit_ae.serving.files import load

OUTPUTS = ("reconstruction", "latent", "error", "sample")


class Scorer(PythonModel):
    """Answers in the user's own units; the same input always gets the same answer.

    ``params["output"]`` picks what comes back for ``(N, *shape)`` rows: ``reconstruction`` (user's units),
    ``latent`` ``(N, latent_dim)``, ``error`` ``(N,)`` (mean squared error per feature, in model space), or ``sample``
    (N new samples from the prior, in user's units, drawn with ``params["seed"]``).
    """

    model: LitAutoencoder

    def load_context(self, context: Any) -> None:
        self.model = load(Path(context.artifacts["autoencoder"]))

    def predict(self, context, model_input, params=None):  # MLflow would take type hints for a schema
        wanted = {"output": "reconstruction", "seed": 0, **(params or {})}
        raw = torch.from_numpy(np.array(model_input, dtype=np.float32))
        if wanted["output"] not in OUTPUTS:
            raise _refuse(f"output must be one of {', '.join(OUTPUTS)}, not {wanted['output']!r}.")
        if wanted["output"] == "sample":
            return self._sample(len(raw), int(wanted["seed"])).numpy()
        if tuple(raw.shape[1:]) != self.model.spec.shape:
            raise _refuse(f"Each row must have the shape {list(self.model.spec.shape)}, not {list(raw.shape[1:])}.")
        return in_chunks(getattr(self, f"_{wanted['output']}"), raw).numpy()

    def _latent(self, raw: Tensor) -> Tensor:
        return self.model.encode(self.model.spec.preprocessing.apply(raw))

    def _reconstruction(self, raw: Tensor) -> Tensor:
        return self.model.spec.preprocessing.invert(self.model.decode(self._latent(raw)))

    def _error(self, raw: Tensor) -> Tensor:
        x = self.model.spec.preprocessing.apply(raw)
        return squared_error(x, self.model(x))

    def _sample(self, count: int, seed: int) -> Tensor:
        if self.model.prior is None:
            raise _refuse(f"{type(self.model).__name__} has no prior to sample from: ask for another output.")
        with torch.no_grad():
            drawn = self.model.sample(count, torch.Generator().manual_seed(seed))
        return self.model.spec.preprocessing.invert(drawn)


def _refuse(sentence: str) -> MlflowException:
    return MlflowException.invalid_parameter_value(sentence)


mlflow.models.set_model(Scorer())
