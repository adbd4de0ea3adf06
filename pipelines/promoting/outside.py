"""Asks a packed model where this project can't be imported. Run by its path: ``python -I outside.py MODEL IN OUT``.

IN is an ``.npz`` with the array ``rows``, or a Parquet file of a table. OUT, an ``.npz``, holds ``code`` (the file that
the model's own code was loaded from), ``error`` ``(N,)``, and of a model that judges ``score`` and ``alarm`` ``(N,)``.
"""

import sys
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

PROJECT = ("lit_ae", "data", "pipelines", "benchmarks")


class OwnCodeAlone:
    """Finds the project's packages among a model's own code, and nowhere else.

    Args:
        code: the folder of that code.
    """

    def __init__(self, code: Path):
        self.code = code

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        """Where a module is; None leaves the question to the other finders.

        Raises:
            ModuleNotFoundError: it is the project's, and not packed with the model.
        """
        if name not in PROJECT:
            return None
        found = PathFinder.find_spec(name, [str(self.code)])
        if found is None:
            raise ModuleNotFoundError(f"No module named {name!r} is packed with the model", name=name)
        return found


def main(model: str, asked: str, answered: str) -> None:
    """Loads the model as a server does, and keeps what it answers."""
    sys.meta_path.insert(0, OwnCodeAlone(Path(model, "code").resolve()))
    import mlflow
    import numpy as np
    import pandas as pd

    rows = pd.read_parquet(asked) if asked.endswith(".parquet") else np.load(asked)["rows"]
    loaded = mlflow.pyfunc.load_model(model)
    import lit_ae

    answers = {"code": np.array(lit_ae.__file__), "error": loaded.predict(rows, params={"output": "error"})}
    said = loaded.predict(rows)
    if isinstance(said, pd.DataFrame) and "verdict" in said:
        answers |= {"score": said["score"].to_numpy(float), "alarm": (said["verdict"] == "anomaly").to_numpy(bool)}
    np.savez(answered, **answers)


if __name__ == "__main__":
    main(*sys.argv[1:])
