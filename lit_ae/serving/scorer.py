"""The model as MLflow runs it: MLflow imports this module from the model's own code and calls ``_load_pyfunc``."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from mlflow.exceptions import MlflowException
from numpy.typing import NDArray
from torch import Tensor

from lit_ae.detection.detector import Detector
from lit_ae.errors import UserError
from lit_ae.metrics.reconstruction import reconstruction_errors
from lit_ae.module import LitAutoencoder
from lit_ae.serving.files import load, load_detector
from lit_ae.serving.frames import Frame, read_frame
from lit_ae.serving.integrity import verify_package
from lit_ae.serving.verdicts import verdicts

OUTPUTS = ("reconstruction", "latent", "error", "sample", "verdict")
PARAMETERS: dict[str, tuple[str, Any]] = {"output": ("string", OUTPUTS[0]), "seed": ("long", 0)}
"""The parameters of a prediction: MLflow's name of the type, and the default of a model without a detector."""


def default_output(detector: Detector | None) -> str:
    """What comes back unasked: the verdict where there is a detector, else the reconstruction."""
    return OUTPUTS[0] if detector is None else "verdict"


class Question(NamedTuple):
    """What is asked of a model: the rows, the output, and the seed of samples."""

    asked: Frame
    output: str
    seed: int


class Scorer:
    """Answers in the user's own units; the same input always gets the same answer.

    ``params["output"]`` picks what comes back for ``(N, *spec.shape)`` rows: ``reconstruction`` (user's units),
    ``latent`` ``(N, latent_dim)``, ``error`` ``(N,)`` (mean squared error per feature, in model space; of strings, the
    share of tokens that come back wrong), or ``sample`` (N new samples from the prior, in user's units, drawn with
    ``params["seed"]``). A model with a detector also gives a ``verdict``, and gives it unasked: a frame with a row for
    each row of the input, of ``score`` (higher is worse), ``p_value`` (the share of normal rows that score as high),
    ``verdict`` (anomaly, normal or not scored) and ``reasons`` (of anomalies: what stands out, and what was expected).

    A model of strings takes a list or a column of them, and gives reconstructions and samples as strings.

    A model of a table takes a frame, columns by name, and gives reconstructions and samples as one. A model of windows
    answers for the row that a window ends at, and NaN (not scored) for the rows that none ends at; a reconstruction is
    that of the window's last row, and samples are the last rows of sampled windows.

    Args:
        model: a trained model, ready to infer.
        detector: what makes verdicts of its scores, if there is one.
    """

    def __init__(self, model: LitAutoencoder, detector: Detector | None = None):
        self.model, self.detector = model, detector

    def to(self, device: str) -> "Scorer":
        """Itself, with the model on that device; answers are given on the CPU.

        Raises:
            UserError: there is a detector. It judges on the CPU, where its threshold was set: another processor rounds
                otherwise, and its promise is one of these very scores.
        """
        if self.detector is not None and torch.device(device).type != "cpu":
            raise UserError(f"The model has a detector, which judges on the CPU: ask for that instead of {device}.")
        self.model.to(device)
        return self

    def predict(self, model_input: Any, params: dict[str, Any] | None = None) -> NDArray[Any] | pd.DataFrame:
        """The output asked for, as float32, a frame or strings.

        Args:
            model_input: rows in the user's own units, ``(N, *spec.shape)``, a frame or strings; for ``sample`` only N
                counts.
            params: ``output`` and ``seed``.

        Raises:
            MlflowException: for anything that has no answer; a server says so with HTTP status 400.
        """
        return self.answer(self.read(model_input, params))

    def read(self, model_input: Any, params: dict[str, Any] | None = None) -> Question:
        """What is asked of the model, checked; see :meth:`predict`."""
        defaults = {name: default for name, (_, default) in PARAMETERS.items()}
        wanted = {**defaults, "output": default_output(self.detector), **(params or {})}
        output, seed = wanted["output"], int(wanted["seed"])
        if output not in OUTPUTS:
            raise _refusal(f"output must be one of {', '.join(OUTPUTS)}, not {output!r}.")
        if output == "verdict" and self.detector is None:
            raise _refusal("The model has no detector: train it on data that say what is normal, or ask for an error.")
        if output == "sample" and self.model.prior is None:
            raise _refusal(f"{type(self.model).__name__} has no prior to sample from: ask for another output.")
        if not 0 <= seed < 2**63:
            raise _refusal(f"seed must lie between 0 and 2**63 - 1, and is {seed}.")
        return Question(self._read(model_input), output, seed)

    def answer(self, question: Question) -> NDArray[Any] | pd.DataFrame:
        """The answer to what :meth:`read` has read."""
        asked, output, seed = question
        if output == "verdict":
            assert self.detector is not None
            return verdicts(self.detector, asked)
        if output == "sample":
            return self._told(self._sample(len(asked.raw), seed).cpu().numpy())
        answers = asked.answer(getattr(self, f"_{output}"), self.model.device)
        return self._told(answers) if output == "reconstruction" else answers

    def _read(self, model_input: Any) -> Frame:
        spec = self.model.spec
        try:
            if spec.schema is not None:
                return read_frame(model_input, spec, spec.schema)
            if spec.tokenizer is not None:
                return Frame(spec.tokenizer.encode(_strings(model_input)), None)
            return Frame(self._checked(torch.as_tensor(model_input).float()), None)
        except UserError as mistake:
            raise _refusal(str(mistake)) from mistake

    def _told(self, raw: NDArray[Any]) -> NDArray[Any] | pd.DataFrame:
        """Rows in the user's own form."""
        codec = self.model.spec.codec
        rows = raw if codec is None else codec.decode(torch.from_numpy(raw))
        return np.array(rows, dtype=object) if isinstance(rows, list) else rows

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
        return self._rows(preprocessing.invert(self.model(preprocessing.apply(raw))))

    def _rows(self, raw: Tensor) -> Tensor:
        """Of a window of a table its last row; anything else as it is."""
        spec = self.model.spec
        return raw[:, -1] if spec.schema is not None and len(spec.shape) > 1 else raw

    def _error(self, raw: Tensor) -> Tensor:
        x = self.model.spec.preprocessing.apply(raw)
        return reconstruction_errors(x, self.model(x), self.model.spec)

    @torch.no_grad()
    def _sample(self, count: int, seed: int) -> Tensor:
        drawn = self.model.sample(count, torch.Generator().manual_seed(seed))
        return self._rows(self.model.spec.preprocessing.invert(drawn))


def _strings(rows: Any) -> list[Any]:
    """A list or a column of strings as a list.

    Raises:
        UserError: there are several columns.
    """
    table = np.atleast_1d(np.asarray(rows, dtype=object))
    if table.size != len(table):
        raise UserError(f"The model takes one column of strings, not {table.size // len(table)}: give it that alone.")
    return table.ravel().tolist()


def _load_pyfunc(path: str) -> Scorer:
    verify_package(Path(path).parents[1])
    model = load(Path(path))
    return Scorer(model, load_detector(Path(path), model))


def _refusal(sentence: str) -> MlflowException:
    return MlflowException.invalid_parameter_value(sentence)
