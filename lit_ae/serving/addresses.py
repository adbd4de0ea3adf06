"""A packed model by its address."""

import tempfile
from contextlib import ExitStack
from pathlib import Path

from lit_ae.errors import UserError
from lit_ae.module import LitAutoencoder
from lit_ae.serving import scorer
from lit_ae.serving.files import load


def load_from(address: str) -> LitAutoencoder:
    """A model that was packed by :func:`lit_ae.serving.package.package`, on the CPU, frozen and ready to infer.

    Weights and description are read; nothing is unpickled, and the code that was packed with them is not run.

    Args:
        address: ``runs:/<run id>/model``, ``models:/<name>@<alias>`` or ``models:/<name>/<version>`` of the tracking
            store that MLflow is set to, or the folder of a packed model.

    Raises:
        UserError: there is no such model, or it is none of ours.
    """
    from mlflow.artifacts import download_artifacts  # here, as a training without it need not wait for MLflow
    from mlflow.exceptions import MlflowException

    with ExitStack() as stack:
        folder = Path(address)
        try:
            if ":/" in address:
                scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix="lit_ae_"))
                folder = Path(download_artifacts(artifact_uri=address, dst_path=scratch))
            return load(_weights_of(folder))
        except (MlflowException, OSError, KeyError, ValueError, TypeError, AttributeError, RuntimeError) as error:
            raise UserError(
                f"There is no model of this project at {address} ({_first_line(error)}): name runs:/<run id>/model, "
                "models:/<name>@<alias> or the folder of a packed model, and check MLFLOW_TRACKING_URI."
            ) from error


def _weights_of(folder: Path) -> Path:
    """Where the weights of a packed model lie."""
    from mlflow.models import Model

    flavor = Model.load(str(folder)).flavors["python_function"]
    if flavor["loader_module"] != scorer.__name__:
        raise ValueError(f"it is loaded by {flavor['loader_module']}")
    return folder / flavor["data"]


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
