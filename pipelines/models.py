"""A model by any of its addresses: a run, a registered name with alias or version, or a folder."""

import errno
import os
import re
import tempfile
from pathlib import Path

from lit_ae.errors import UserError
from lit_ae.serving.integrity import verify_package

INSIDE = Path("data") / "autoencoder"  # where a packed model keeps its own files
RUN_ID = re.compile(r"[0-9a-f]{32}")
FORMS = "a run's id, runs:/<run id>/model, models:/<name>@<alias>, models:/<name>/<version>, or a model's folder"


def fetch_model(address: str, output_dir: Path = Path("outputs"), scratch: Path | None = None) -> Path:
    """The folder that holds the model's own files (see :mod:`lit_ae.serving.files`), fetched where it is elsewhere.

    Args:
        address: one of :data:`FORMS`.
        output_dir: where runs keep their files on this machine.
        scratch: where a folder is made for what is fetched; by default among the temporary files.

    Raises:
        UserError: there is no such model, it is none of ours or not as it was packed, or the server does not answer.
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
    verify_package(folder)
    return folder / INSIDE


def _download(address: str, scratch: Path | None) -> Path:
    from mlflow.artifacts import download_artifacts
    from mlflow.exceptions import MlflowException

    from pipelines.store import connect, is_not_there, tracking_uri, what_to_do, without_password

    uri = tracking_uri()
    connect(uri)
    try:
        folder = tempfile.mkdtemp(prefix="lit_ae_", dir=scratch)
        return Path(download_artifacts(artifact_uri=address, dst_path=folder, tracking_uri=uri))
    except (MlflowException, OSError) as error:
        if os.strerror(errno.ENOSPC) in str(error):
            place = scratch or tempfile.gettempdir()
            raise UserError(f"The disk of {place} is full: free some space, or set TMPDIR to another.") from error
        if isinstance(error, MlflowException) and not is_not_there(error):
            raise UserError(what_to_do(uri, error)) from error
        raise UserError(
            f"There is no model {address} at {without_password(uri)}: give {FORMS}, and check MLFLOW_TRACKING_URI."
        ) from error
