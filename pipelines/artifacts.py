"""Fetching what an earlier run has kept."""

import tempfile
from pathlib import Path

from lit_ae.errors import UserError


def download(run_id: str, artifact: str) -> Path:
    """A local copy of a run's artefact.

    Raises:
        UserError: the store does not answer, there is no such run, or it holds no such artefact.
    """
    from mlflow.artifacts import download_artifacts
    from mlflow.exceptions import MlflowException

    from pipelines.store import connect, tracking_uri, without_password

    uri = tracking_uri()
    connect(uri)
    try:
        folder = tempfile.mkdtemp(prefix="lit_ae_")
        return Path(download_artifacts(run_id=run_id, artifact_path=artifact, dst_path=folder, tracking_uri=uri))
    except (MlflowException, OSError) as error:
        raise UserError(
            f"The run {run_id} at {without_password(uri)} has no {artifact}: check the id and MLFLOW_TRACKING_URI."
        ) from error
