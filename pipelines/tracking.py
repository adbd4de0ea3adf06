"""One training is one MLflow run with a true status, whatever becomes of the tracking server."""

import functools
import json
import logging
import os
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only
from mlflow.entities import Run

from lit_ae.errors import UserError
from pipelines.delivery import Delivery, summary
from pipelines.outbox import Outbox, Record, Sender, write_atomically
from pipelines.store import REASON_TAG, connect, describe, is_remote, open_run, tracking_uri, without_password

logger = logging.getLogger(__name__)

Status = Literal["FINISHED", "FAILED", "KILLED"]
OUTPUTS = Path("outputs")
PATIENCE = 20.0  # s that finish waits for a server that does not answer
FIRST_WORD = 60.0  # s that the machine's own figures leave to the model's
LEADING = ("mse", "token_accuracy")
"""What every variant is measured by. MLflow's plots begin with the figure that a run has logged first."""


def _harmless(method: Callable[..., None]) -> Callable[..., None]:
    """A method that may fail, but never raises: what could not be logged is said once."""

    @functools.wraps(method)
    def logged(self: "Tracker", *args: Any, **kwargs: Any) -> None:
        try:
            method(self, *args, **kwargs)
        except Exception as error:
            self.warn_once(f"{method.__name__} could not keep what it was given: {summary(error)}")

    return logged


class Tracker:
    """The run of this process. Whatever is logged is on local disk at once and at the server soon after.

    No ``log_*`` method raises or waits for the server. Only rank 0 has a tracker: see :meth:`open`.

    Attributes:
        run_id: the run.
        experiment_id: its experiment.
        directory: its own directory on this disk, ``<output_dir>/<run_id>``.
        uri: the tracking store.
        url: the run's page where a server shows it, else None.
        has_figures: set when this process has logged its first.
    """

    def __init__(self, run: Run, uri: str, directory: Path, outbox: Outbox, sender: Sender):
        self.run_id, self.experiment_id = str(run.info.run_id), str(run.info.experiment_id)
        self.directory, self.uri = directory, uri
        page = f"{without_password(uri)}/#/experiments/{self.experiment_id}/runs/{self.run_id}"
        self.url = page if is_remote(uri) else None
        self._outbox, self._sender = outbox, sender
        self._delivered: bool | None = None
        self._warned: set[str] = set()
        self.has_figures = threading.Event()
        self._earlier = {
            (key, record.content["step"], value)
            for record in outbox.records()
            if record.content["kind"] == "metrics"
            for key, value in record.content["values"].items()
        }
        self._system = _SystemMetrics(self, run.info.start_time)

    @classmethod
    def open(
        cls,
        experiment: str = "lit-ae",
        run_name: str | None = None,
        resume: str | None = None,
        output_dir: Path = OUTPUTS,
        tags: dict[str, str] | None = None,
    ) -> "Tracker":
        """Open the run: the one to resume, else the one that ``mlflow run`` made (MLFLOW_RUN_ID), else a new one.

        Args:
            experiment: where a new run goes, unless MLFLOW_EXPERIMENT_ID or MLFLOW_EXPERIMENT_NAME say otherwise.
            run_name: the run's name; MLflow invents one.
            resume: the id of a run to go on with.
            output_dir: where the run's directory is made.
            tags: further tags of the run.

        Raises:
            UserError: the store does not answer or cannot be written, there is no such run, another process writes it,
                or ``output_dir`` cannot be written.
        """
        uri = tracking_uri()
        client = connect(uri)
        _make(output_dir)
        adopts = bool(resume or os.environ.get("MLFLOW_RUN_ID"))
        run = open_run(client, uri, experiment, run_name, resume, tags or {})
        directory = output_dir.absolute() / str(run.info.run_id)
        _make(directory)
        outbox = Outbox(directory)
        sender = Sender(outbox, Delivery(client, run.info.run_id), describe(uri))
        write_atomically(directory / "run.json", {"tracking_uri": without_password(uri)})
        tracker = cls(run, uri, directory, outbox, sender)
        if adopts:
            tracker._queue("status", status="RUNNING")
            if REASON_TAG in run.data.tags:
                tracker.set_tags({REASON_TAG: ""})
        tracker._system.start()
        return tracker

    @_harmless
    def log_metrics(self, metrics: Mapping[str, Any], step: int) -> None:
        """Keep the metrics of one step.

        A resumed training that computes the very same value for the same step again does not log it twice.
        """
        values = {key: float(value) for key, value in metrics.items()}
        values = {key: value for key, value in values.items() if (key, step, value) not in self._earlier}
        if values:
            self._queue("metrics", values=values, step=int(step))
            self.has_figures.set()

    @_harmless
    def log_params(self, params: Mapping[str, Any]) -> None:
        """Keep parameters, any number; a text of more than 6000 characters is cut by MLflow's own limit."""
        self._queue("params", values={key: str(value) for key, value in params.items()})

    @_harmless
    def set_tags(self, tags: Mapping[str, Any]) -> None:
        """Keep tags."""
        self._queue("tags", values={key: str(value) for key, value in tags.items()})

    @_harmless
    def log_file(self, path: Path | str, folder: str = "") -> None:
        """Keep a local file, or all in a local directory, as artefacts under ``folder``. It must stay until sent."""
        self._queue("file", path=os.path.abspath(path), folder=folder)

    @_harmless
    def log_image(self, path: Path | str, key: str, step: int) -> None:
        """Keep a local picture as the one of this step; MLflow shows a slider over the steps of one ``key``."""
        self._queue("image", path=os.path.abspath(path), key=key, step=int(step))

    @_harmless
    def log_dataset(
        self, name: str, digest: str, sizes: Mapping[str, int], source: str, shape: tuple[int, ...] | None = None
    ) -> None:
        """Keep which data the run saw, one input a split.

        Args:
            name: the data set's name.
            digest: of its content; MLflow keeps 36 characters, of which the last name the split.
            sizes: rows of each split: ``{"train": 1437, "validation": 180, "test": 180}``.
            source: a URL, an absolute path, or in words where the data comes from.
            shape: one sample in model space, float32.
        """
        tensor = {"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, *(shape or ())]}}
        schema = {"mlflow_tensorspec": {"features": json.dumps([tensor]), "targets": None}} if shape else None
        self._queue("dataset", name=name, digest=digest, sizes=dict(sizes), source=source, schema=schema)

    @_harmless
    def log_model(self, directory: Path | str, name: str = "model", step: int = 0, metrics: str = "test/") -> None:
        """Keep a model, saved by ``mlflow.pyfunc.save_model``, as the run's logged model.

        Args:
            directory: where it was saved; it must stay until sent.
            name: ``runs:/<run_id>/<name>`` loads it.
            step: the training step of its weights; of several models of one name MLflow takes the latest step.
            metrics: the model is given the run's metrics whose names start so; "" gives none.
        """
        path = os.path.abspath(directory)
        self._queue("model", path=path, name=name, step=int(step), metrics=metrics, record=uuid.uuid4().hex)

    def finish(self, status: Status, reason: str | None = None) -> bool:
        """End the run, and wait until all is sent, but not for a server that does not answer for 20 s. Once is enough.

        Args:
            status: how the training ended.
            reason: why, in a few words.

        Returns:
            Whether the server has everything. If not, one line says where the rest is kept and how to send it.
        """
        if self._delivered is None:
            self._system.stop()
            if reason:
                self._tell("tags", values={REASON_TAG: reason})
            self._tell("status", status=status)
            self._delivered = False
            try:
                self._delivered = self._sender.flush(PATIENCE)
            finally:
                self._sender.close()
                if not self._delivered:
                    self._say_what_waits()
        return self._delivered

    def warn_once(self, message: str) -> None:
        """Say something the first time only."""
        if message not in self._warned:
            self._warned.add(message)
            logger.warning("%s", message)

    def _say_what_waits(self) -> None:
        output_dir = os.path.relpath(self.directory.parent)
        where = "" if output_dir == str(OUTPUTS) else f" --output_dir {output_dir}"
        message = "%d records wait in %s; send them with `python -m pipelines.sync %s%s`"
        logger.warning(message, self._outbox.waiting(), self._outbox.path, self.run_id, where)

    @_harmless
    def _tell(self, kind: str, **content: Any) -> None:
        """Queue it, or send it at once where the disk has no room for it."""
        try:
            self._queue(kind, **content)
        except OSError:
            record = Record(0, 0, {"kind": kind, "time": time.time_ns() // 1_000_000, **content})
            self._sender.recipient.deliver([record])

    def _queue(self, kind: str, **content: Any) -> None:
        self._outbox.append(kind, **content)
        self._sender.wake()


class TrackingLogger(Logger):
    """Lightning's door to a tracker. The status and the parameters of the run are not Lightning's business.

    Args:
        tracker: the run on rank 0, None on the others.
        output_dir: where the run's directory stands.
    """

    def __init__(self, tracker: Tracker | None, output_dir: Path = OUTPUTS):
        super().__init__()
        self._tracker = tracker
        self._output_dir = tracker.directory.parent if tracker else output_dir

    @property
    def name(self) -> str:
        """Empty: checkpoints stand in the run's directory itself."""
        return ""

    @property
    def version(self) -> str:
        """The run's id."""
        return self._tracker.run_id if self._tracker else ""

    @property
    def save_dir(self) -> str:
        """Where the run's directory stands."""
        return str(self._output_dir)

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Pass on what Lightning logs; the step is the epoch that it adds."""
        if self._tracker:
            epoch = int(metrics.get("epoch", step or 0))
            ordered = sorted(metrics, key=lambda name: name.rpartition("/")[2] not in LEADING)
            self._tracker.log_metrics({name: metrics[name] for name in ordered if name != "epoch"}, epoch)

    @rank_zero_only
    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """Nothing: the resolved config is logged by whoever resolved it."""


class _SystemMetrics(threading.Thread):
    """Samples what MLflow's own monitor measures, and logs it like any metric; its step is the run's age in seconds.

    The first figures are the model's, if it has any within a minute: MLflow's plots begin with what came first.
    """

    def __init__(self, tracker: Tracker, start_time: int):
        super().__init__(name="system-metrics", daemon=True)
        self._tracker, self._start_time = tracker, start_time
        self._stopped = threading.Event()

    def run(self) -> None:
        try:
            self._watch()
        except Exception as error:
            self._tracker.warn_once(f"System metrics are not logged: {summary(error)}")

    def stop(self) -> None:
        """Log what was sampled last, and end."""
        self._stopped.set()
        self.join(timeout=2.0)

    def _watch(self) -> None:
        from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

        monitor = SystemMetricsMonitor(self._tracker.run_id, tracking_uri=self._tracker.uri)
        interval, ended, began = 2.0, False, time.monotonic()
        while not ended:
            monitor.collect_metrics()
            ended = self._stopped.wait(min(interval, monitor.sampling_interval))
            interval *= 1.3
            if not (ended or self._tracker.has_figures.is_set() or time.monotonic() - began > FIRST_WORD):
                continue
            step = int(time.time() - self._start_time / 1000)
            metrics = monitor.aggregate_metrics()
            self._tracker.log_metrics({f"system/{name}": value for name, value in metrics.items()}, step)
            for source in monitor.monitors:
                source.clear_metrics()


def _make(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        (directory / ".writable").touch()
        (directory / ".writable").unlink()
    except OSError as error:
        reason = error.strerror or error
        raise UserError(f"The output directory {directory} cannot be written ({reason}): choose another.") from error
