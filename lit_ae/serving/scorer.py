"""The model as MLflow runs it: MLflow imports this module from the model's own code and calls ``_load_pyfunc``."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from mlflow.exceptions import MlflowException
from numpy.typing import NDArray
from torch import Tensor

from lit_ae.errors import UserError
from lit_ae.metrics.chunks import in_chunks
from lit_ae.metrics.reconstruction import reconstruction_errors
from lit_ae.module import LitAutoencoder
from lit_ae.serving.files import load

OUTPUTS = ("reconstruction", "latent", "error", "sample")
IN_USERS_UNITS = ("reconstruction", "sample")
PARAMETERS: dict[str, tuple[str, Any]] = {"output": ("string", OUTPUTS[0]), "seed": ("long", 0)}
"""The parameters of a prediction: MLflow's name of the type, and the default."""


class Scorer:
    """Answers in the user's own units; the same input always gets the same answer.

    ``params["output"]`` picks what comes back for ``(N, *spec.shape)`` rows: ``reconstruction`` (user's units),
    ``latent`` ``(N, latent_dim)``, ``error`` ``(N,)`` (mean squared error per feature, in model space; of strings, the
    share of tokens that come back wrong), or ``sample`` (N new samples from the prior, in user's units, drawn with
    ``params["seed"]``). Where the data's rows are no numbers, the spec's codec takes and gives them: N strings.

    Args:
        model: a trained model, ready to infer.
    """

    def __init__(self, model: LitAutoencoder):
        self.model = model

    def predict(self, model_input: Any, params: dict[str, Any] | None = None) -> NDArray[Any]:
        """The output asked for, as float32, or rows of the codec's.

        Args:
            model_input: rows in the user's own units, ``(N, *spec.shape)``, or what the codec takes, as a list or a
                table of one column; for ``sample`` only N counts.
            params: ``output`` and ``seed``.

        Raises:
            MlflowException: for anything that has no answer; a server says so with HTTP status 400.
        """
        defaults = {name: default for name, (_, default) in PARAMETERS.items()}
        wanted = {**defaults, **(params or {})}
        raw = self._checked(self._raw(model_input))
        output, seed = wanted["output"], int(wanted["seed"])
        if output not in OUTPUTS:
            raise _refusal(f"output must be one of {', '.join(OUTPUTS)}, not {output!r}.")
        answer = self._sample(len(raw), seed) if output == "sample" else in_chunks(getattr(self, f"_{output}"), raw)
        codec = self.model.spec.codec
        if codec is not None and output in IN_USERS_UNITS:
            return np.array(codec.decode(answer), dtype=object)
        return answer.numpy()

    def _raw(self, model_input: Any) -> Tensor:
        """What came in, as numbers."""
        codec = self.model.spec.codec
        if codec is None:
            return torch.as_tensor(model_input).float()
        try:
            return codec.encode(np.asarray(model_input, dtype=object).ravel().tolist()).float()
        except UserError as mistake:
            raise _refusal(str(mistake)) from mistake

    def _checked(self, raw: Tensor) -> Tensor:
        shape = self.model.spec.shape
        if tuple(raw.shape[1:]) != shape:
            raise _refusal(f"The input must have the shape {['N', *shape]}, not {list(raw.shape)}.")
        bad = (~raw.isfinite()).flatten(1).any(1).nonzero().flatten().tolist()
        if bad:
            raise _refusal(f"Every value must be finite, and row {bad[0]} holds NaN or an infinite one.")
        return raw

    def _latent(self, raw: Tensor) -> Tensor:
        return self.model.encode(self.model.spec.preprocessing.apply(raw))

    def _reconstruction(self, raw: Tensor) -> Tensor:
        preprocessing = self.model.spec.preprocessing
        return preprocessing.invert(self.model(preprocessing.apply(raw)))

    def _error(self, raw: Tensor) -> Tensor:
        x = self.model.spec.preprocessing.apply(raw)
        return reconstruction_errors(x, self.model(x), self.model.spec)

    @torch.no_grad()
    def _sample(self, count: int, seed: int) -> Tensor:
        if self.model.prior is None:
            raise _refusal(f"{type(self.model).__name__} has no prior to sample from: ask for another output.")
        if not 0 <= seed < 2**63:
            raise _refusal(f"seed must lie between 0 and 2**63 - 1, and is {seed}.")
        drawn = self.model.sample(count, torch.Generator().manual_seed(seed))
        return self.model.spec.preprocessing.invert(drawn)


def _load_pyfunc(path: str) -> Scorer:
    return Scorer(load(Path(path)))


def _refusal(sentence: str) -> MlflowException:
    return MlflowException.invalid_parameter_value(sentence)
