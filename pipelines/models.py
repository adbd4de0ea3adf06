"""A model by any of its addresses: a run, a registered name with alias or version, or a folder."""

import re
import tempfile
from pathlib import Path

from lit_ae.errors import UserError

INSIDE = Path("data") / "autoencoder"  # where a packed model keeps its own files
RUN_ID = re.compile(r"[0-9a-f]{32}")
FORMS = "a run's id, runs:/<run id>/model, models:/<name>@<alias>, models:/<name>/<version>, or a model's folder"


def fetch_model(address: str, output_dir: Path = Path("outputs"), scratch: Path | None = None) -> Path:
    """The folder that holds the model's own files (see :mod:`lit_ae.serving.files`), fetched where it is elsewhere.

    Args:
        address: one of :data:`FORMS`.
        output_dir: where runs keep their files on this machine.
        scratch: the folder that it is fetched into; by default a new one among the temporary files.

    Raises:
        UserError: there is no such model, or it is none of ours.
    """
    folder = Path(address)
    if RUN_ID.fullmatch(address):
        local = output_dir / address / "model"
        folder = local if local.is_dir() else _download(f"runs:/{address}/model", scratch)
    elif re.match(r"(runs|models):/", address):
        folder = _download(address, scratch)
    if not folder.is_dir():
        raise UserError(f"There is no model {address}: give {FORMS}.")
    if not (folder / INSIDE).is_dir():
        raise UserError(f"{address} is no model of lit-ae: it lacks {INSIDE}.")
    return folder / INSIDE


def _download(address: str, scratch: Path | None) -> Path:
    from mlflow.artifacts import download_artifacts
    from mlflow.exceptions import MlflowException

    from pipelines.store import connect, tracking_uri

    uri = tracking_uri()
    connect(uri)
    try:
        folder = scratch or tempfile.mkdtemp(prefix="lit_ae_")
        return Path(download_artifacts(artifact_uri=address, dst_path=str(folder), tracking_uri=uri))
    except (MlflowException, OSError) as error:
        raise UserError(
            f"There is no model {address} at {uri}: give {FORMS}, and check MLFLOW_TRACKING_URI."
        ) from error
