"""From a model's answer to the bytes that are sent."""

import json
from typing import Any

import numpy as np
import pandas as pd

from pipelines.serving.served import Served


def written_score(served: Served, output: str, answer: Any) -> bytes:
    """The answer of ``POST /score``; NaN is null."""
    return _json({"model_version": served.version, "output": output, "rows": plain(answer)})


def written_invocation(answer: Any) -> bytes:
    """The answer of ``POST /invocations``, as MLflow's server gives it; NaN is null."""
    return _json({"predictions": plain(answer)})


def plain(answer: Any) -> list[Any]:
    """Rows of JSON values: objects for a frame, lists of numbers for an array, or strings."""
    if isinstance(answer, pd.DataFrame):
        columns = [_values(answer[name].to_numpy()) for name in answer.columns]
        names = [str(name) for name in answer.columns]
        return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
    return _values(np.asarray(answer))


def _values(array: np.ndarray) -> list[Any]:
    unknown = ~np.isfinite(array) if array.dtype.kind == "f" else pd.isna(array)
    if unknown.any():
        array = array.astype(object)
        array[unknown] = None
    return array.tolist()


def _json(content: dict[str, Any]) -> bytes:
    return json.dumps(content, allow_nan=False).encode()
