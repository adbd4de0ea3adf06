"""Reaching the tracking store: is it there, which experiment, which run. What is wrong is said in one sentence."""

import contextlib
import fcntl
import logging
import os
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from mlflow.tracking.context.registry import resolve_tags
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from lit_ae.errors import UserError
from pipelines.delivery import summary

T = TypeVar("T")

ANSWER_WITHIN = 5.0  # s
KIND = {"mlflow.experimentKind": "custom_model_development"}  # so that MLflow opens it as model training
BROKEN = re.compile(r"too many (5\d\d) error responses|failed with error code (5\d\d)")  # as MLflow's client says it
REASON_TAG = "lit_ae.reason"
CONTINUED_TAG = "lit_ae.continued_in"
DEFAULTS = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}


def connect(uri: str) -> MlflowClient:
    """A client of the store at ``uri``, which has answered.

    Raises:
        UserError: the store does not answer within 5 s, refuses the user, or cannot be written.
    """
    notice_dead_servers()
    for name in ("alembic", "urllib3", "mlflow.store.db", "mlflow.system_metrics"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        with alone_with(uri):
            return _within(ANSWER_WITHIN, lambda: _answering_client(uri)) if is_remote(uri) else _answering_client(uri)
    except UserError:
        raise
    except Exception as error:
        raise UserError(what_to_do(uri, error)) from error


def notice_dead_servers() -> None:
    """Sets short HTTP timeouts for MLflow in this process, where the user has set none."""
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)


def tracking_uri() -> str:
    """MLflow's tracking URI; a sqlite file by its absolute path."""
    uri = mlflow.get_tracking_uri()
    path = sqlite_path(uri)
    if path is None:
        return uri
    return make_url(uri).set(database=str(path.absolute())).render_as_string(hide_password=False)


def without_password(uri: str) -> str:
    """The URI as it may be shown and kept."""
    return re.sub(r"(?<=://)[^/@]*@", "", uri)


def describe(uri: str) -> str:
    """The store's name in messages."""
    return f"tracking {'server' if is_remote(uri) else 'store'} {without_password(uri)}"


def is_remote(uri: str) -> bool:
    """Whether a server stands between us and the store."""
    return uri.startswith(("http://", "https://", "databricks"))


def sqlite_path(uri: str) -> Path | None:
    """The file of a sqlite store, None for any other.

    Raises:
        UserError: the URI is not one.
    """
    if not uri.startswith("sqlite"):
        return None
    try:
        database = make_url(uri).database
    except ArgumentError:
        database = None
    if database in (None, "", ":memory:"):
        raise UserError(f"{uri} names no database file: set MLFLOW_TRACKING_URI to, say, sqlite:///mlflow.db.")
    return Path(str(database))


@contextlib.contextmanager
def alone_with(uri: str) -> Iterator[None]:
    """Keep other processes of this machine away from a sqlite store while its schema or an experiment is made."""
    path = sqlite_path(uri)
    if path is None:
        yield
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and not os.access(path, os.W_OK):
        raise PermissionError(f"{path} is read-only")
    with path.with_name(path.name + ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def find_experiment(client: MlflowClient, uri: str, name: str) -> str:
    """The id of the experiment, which is made if need be. MLFLOW_EXPERIMENT_ID and MLFLOW_EXPERIMENT_NAME go first.

    Raises:
        UserError: there is no experiment of that id, or it was deleted, or its name is refused.
    """
    number = os.environ.get("MLFLOW_EXPERIMENT_ID")
    name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or name
    try:
        with alone_with(uri):
            experiment = client.get_experiment(number) if number else client.get_experiment_by_name(name)
            if experiment is None:
                return client.create_experiment(name, tags=KIND)
    except MlflowException as error:
        experiment = None if number else client.get_experiment_by_name(name)  # someone else may just have made it
        if experiment is None:
            asked = f"MLFLOW_EXPERIMENT_ID={number}" if number else f"experiment '{name}'"
            raise UserError(f"{asked} cannot be used in {without_password(uri)}: {summary(error)}") from error
    if experiment.lifecycle_stage != "active":
        raise UserError(
            f"Experiment '{experiment.name}' was deleted: choose another name, or bring it back with "
            f"`mlflow experiments restore -x {experiment.experiment_id}`."
        )
    return str(experiment.experiment_id)


def find_run(client: MlflowClient, uri: str, run_id: str) -> Run:
    """The run of that id.

    Raises:
        UserError: the store has no such run, or it was deleted.
    """
    try:
        run = client.get_run(run_id)
    except MlflowException as error:
        if not is_not_there(error):
            raise UserError(what_to_do(uri, error)) from error
        raise UserError(
            f"There is no run '{run_id}' in {without_password(uri)}: take the id from the run's page, "
            "or set MLFLOW_TRACKING_URI to the store that has it."
        ) from error
    if run.info.lifecycle_stage != "active":
        raise UserError(f"Run {run_id} was deleted: bring it back with `mlflow runs restore --run-id {run_id}`.")
    return run


def open_run(
    client: MlflowClient, uri: str, experiment: str, name: str | None, resume: str | None, tags: dict[str, str]
) -> Run:
    """The one run of this process: the one to resume, else the one ``mlflow run`` has made for us, else a new one.

    Takes MLFLOW_RUN_ID out of the environment, as MLflow does, so that no second training adopts the same run.
    Where another run is resumed, the empty one of ``mlflow run`` is closed and deleted.

    Raises:
        UserError: no such run, or no such experiment.
    """
    given = os.environ.get("MLFLOW_RUN_ID")
    if resume or given:
        run = find_run(client, uri, str(resume or given))
        if name:
            client.update_run(run.info.run_id, name=name)
        for key, value in tags.items():
            client.set_tag(run.info.run_id, key, value)
        if given != run.info.run_id:
            leave_given_run(client, run.info.run_id)
    else:
        run = client.create_run(find_experiment(client, uri, experiment), tags=resolve_tags(tags), run_name=name)
    os.environ.pop("MLFLOW_RUN_ID", None)
    return run


def leave_given_run(client: MlflowClient, successor: str) -> None:
    """Closes and deletes the empty run that ``mlflow run`` has made, where another run has the work."""
    given = os.environ.pop("MLFLOW_RUN_ID", None)
    if given:
        client.set_tag(given, CONTINUED_TAG, successor)
        client.set_terminated(given)
        client.delete_run(given)


def fail_given_run(reason: str) -> None:
    """Marks the run of MLFLOW_RUN_ID as FAILED, as far as its store can be reached."""
    run_id = os.environ.pop("MLFLOW_RUN_ID")
    with contextlib.suppress(UserError, MlflowException):
        client = connect(tracking_uri())
        client.set_tag(run_id, REASON_TAG, reason)
        client.set_terminated(run_id, "FAILED")


def _answering_client(uri: str) -> MlflowClient:
    client = MlflowClient(uri)
    client.search_experiments(max_results=1)
    return client


def _within(seconds: float, call: Callable[[], T]) -> T:
    """The call's result, or TimeoutError; a call that hangs is left to its own end."""
    results: list[T] = []
    errors: list[Exception] = []

    def attempt() -> None:
        try:
            results.append(call())
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=attempt, daemon=True)
    thread.start()
    thread.join(seconds)
    if errors:
        raise errors[0]
    if not results:
        raise TimeoutError(f"no answer within {seconds:.0f} s")
    return results[0]


def is_not_there(error: MlflowException) -> bool:
    """Whether a store says that it has no such thing, rather than that it can't tell."""
    return error.get_http_status_code() in (400, 404)


def what_to_do(uri: str, error: Exception) -> str:
    """The sentence for a store that can't be used."""
    place = without_password(uri)
    code = error.get_http_status_code() if isinstance(error, MlflowException) else None
    if code in (401, 403):
        return (
            f"The tracking server {place} wants a password, or refuses yours: set MLFLOW_TRACKING_USERNAME and "
            "MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN."
        )
    if is_remote(uri):
        if broken := BROKEN.search(str(error)):
            return f"The tracking server {place} answers HTTP {broken[1] or broken[2]}: its own log says why."
        silent = isinstance(error, TimeoutError) or str(error).startswith("API request to http")
        what = "does not answer" if silent else f"does not answer as MLflow does ({summary(error)})"
        return f"The tracking server {place} {what}: start it, or set MLFLOW_TRACKING_URI to another."
    if sqlite_path(uri) is not None:
        return f"The tracking store {place} cannot be used ({summary(error)}): set MLFLOW_TRACKING_URI to another file."
    if "://" not in uri or uri.startswith("file:"):
        return (
            f"MLflow keeps no runs in the folder '{place}' any more: move it away, or set MLFLOW_TRACKING_URI to, "
            "say, sqlite:///mlflow.db."
        )
    return f"The tracking store {place} cannot be used ({summary(error)}): set MLFLOW_TRACKING_URI to another."
