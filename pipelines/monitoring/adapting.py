"""Training on with recent rows, from the first check to the challenger: read it from :func:`adapt` downwards."""

from functools import cached_property
from pathlib import Path

import lightning as L
import torch
from torch import Tensor

from data.base import LitData, Role, Rows
from data.loading import TensorSplit
from lit_ae.detection.detector import Detector
from lit_ae.errors import UserError
from lit_ae.module import LitAutoencoder
from lit_ae.monitoring.profile import Seen
from lit_ae.randomness import run_seed
from lit_ae.spec import DataSpec
from pipelines.adapt import Job, Schooling
from pipelines.callbacks import Interrupted, StopBetweenSteps
from pipelines.checks import check
from pipelines.command_line import Request
from pipelines.configuration import CommandLine, configure
from pipelines.detecting import fit_detector, make_profile, train_beside
from pipelines.monitoring.intake import Reading
from pipelines.monitoring.normals import read_normals
from pipelines.monitoring.origin import check_registration, config_of, tell_registered
from pipelines.monitoring.story import watched_model
from pipelines.provenance import log_provenance
from pipelines.registry import Origin, origin_of
from pipelines.store import connect, tracking_uri
from pipelines.terminal import keep_quiet
from pipelines.tracking import Status, Tracker
from pipelines.training import chosen_callbacks, fit, judge, keep_checkpoints

LEAST = 100  # recent rows must be more
FIT, TUNE = 0.6, 0.2  # shares of the recent rows; the rest is to calibrate with


def adapt(job: Job) -> int:
    """Trains a model on in exactly one MLflow run, and registers what comes of it; returns the exit code.

    Raises:
        UserError: for a mistake; no run is opened then.
    """
    keep_quiet()
    detector, _ = watched_model(job.model, job.output_dir)
    origin = check_registration(origin_of(connect(tracking_uri()), job.model), job.register)
    reading = Reading(job.delimiter, job.encoding, job.bad_rows)
    recent = by_role(read_normals(job.normals, reading, detector.model.spec), str(job.normals))
    stop = StopBetweenSteps()
    try:
        with stop.listening():
            line = continued(job, origin, detector, recent)
            run_id = train_on(job, line, detector, stop)
    except Interrupted as signal:
        return signal.exit_code
    tell_registered(origin, run_id)
    return 0


def by_role(recent: Seen, path: str) -> dict[Role, Rows]:
    """The recent rows by what they are for: those of a series in time order, others by turns.

    Raises:
        UserError: there are too few.
    """
    count = len(recent.x)
    if count <= LEAST:
        raise UserError(f"{path} gives {count:,} rows, and adapting needs more than {LEAST} confirmed normal ones.")
    share = torch.arange(count) / count
    if recent.entity is None:
        share = torch.arange(count) % 5 / 5
    masks: dict[Role, Tensor] = {
        "fit": share < FIT - 1e-6,
        "tune": (share >= FIT - 1e-6) & (share < FIT + TUNE - 1e-6),
        "calibrate": share >= FIT + TUNE - 1e-6,
    }
    rows = Rows(recent.raw, entity=recent.entity)
    return {role: rows.take(mask) for role, mask in masks.items()}


def continued(job: Job, origin: Origin, detector: Detector, recent: dict[Role, Rows]) -> CommandLine:
    """The training of the model's own run, to be gone on with.

    Raises:
        UserError: nobody knows that run, or its data are not what they were.
    """
    if origin.run_id is None:
        raise UserError(f"Nothing says which run packed {job.model}: name the model by its run or its registered name.")
    config = config_of(origin.run_id, job.output_dir)
    own = [f"--trainer.max_epochs={job.epochs}", "--trainer.max_steps=-1", f"--tracking.output_dir={job.output_dir}"]
    named = [f"--tracking.experiment={job.experiment}", f"--tracking.run_name=adapt {job.model}"]
    line = configure(Request([f"--config={config}", *own, *named], None))
    line.model.continue_training(job.rate)
    check(line)
    if line.model.spec.to_dict() != detector.model.spec.to_dict():
        raise UserError(
            f"The data of run {origin.run_id} are not what it has seen: give the same files by LIT_AE_DATA or retrain."
        )
    line.model.load_state_dict(detector.model.state_dict())
    line.datamodule = Replayed(line.datamodule, recent, job.schooling)
    return line


class Replayed(LitData):
    """A model's own data with recent rows beside them in fit, tune and calibrate; test is as it was.

    It trains on the recent rows and ``replay`` of its own for each, drawn once.

    Args:
        data: that the model was trained on.
        recent: rows by role.
        schooling: how it is trained on.
    """

    def __init__(self, data: LitData, recent: dict[Role, Rows], schooling: Schooling):
        super().__init__(str(data.root), data.batch_size, data.seed)
        self.data, self.recent, self.replay = data, recent, schooling.replay
        self.families, self.left_out, self.noticed = data.families, data.left_out, data.noticed

    @property
    def spec(self) -> DataSpec:
        return self.data.spec

    @cached_property
    def rows(self) -> dict[Role, Rows]:
        """The data's own rows, and the recent ones after them."""
        return {role: self._beside(rows, role) for role, rows in self.data.rows.items()}

    def load(self) -> dict[Role, Rows]:
        return self.rows

    @cached_property
    def digest(self) -> str:
        """Of the data that the model was trained on: the test rows that it is judged by are theirs."""
        return self.data.digest

    def training_split(self) -> TensorSplit:
        """Some of the training rows again, and the recent ones."""
        own, recent = self.data.split("fit").x, self.recent["fit"].raw
        count = min(len(own), self.replay * len(recent))
        chosen = torch.randperm(len(own), generator=torch.Generator().manual_seed(run_seed()))[:count]
        return TensorSplit(torch.cat([own[chosen], self.spec.preprocessing.apply(recent)]))

    def _beside(self, rows: Rows, role: Role) -> Rows:
        if role not in self.recent:
            return rows
        recent = self.recent[role]
        more = recent._replace(raw=recent.raw.to(rows.raw.dtype), entity=self._entities(rows, recent))
        return Rows(torch.cat([rows.raw, more.raw]), entity=_joined(rows.entity, more.entity))

    @staticmethod
    def _entities(rows: Rows, recent: Rows) -> Tensor | None:
        """Recent series are none of those that were there before."""
        if rows.entity is None:
            return None
        own = torch.zeros(len(recent.raw), dtype=torch.int64) if recent.entity is None else recent.entity
        return own + int(rows.entity.max()) + 1


def _joined(first: Tensor | None, second: Tensor | None) -> Tensor | None:
    return None if first is None or second is None else torch.cat([first, second])


def train_on(job: Job, line: CommandLine, old: Detector, stop: StopBetweenSteps) -> str:
    """The training, its test and its model, in a run whose status says how it ended; returns the run's id."""
    asked = line.option("tracking")
    tracker = Tracker.open(job.experiment, asked.run_name, output_dir=Path(asked.output_dir))
    status: Status = "FAILED"
    reason = None
    try:
        log_provenance(tracker, line, is_resumed=False)
        tracker.set_tags({"adapted": job.model})
        recent = {f"adapt/recent_{role}": len(rows.raw) for role, rows in line.datamodule.recent.items()}
        tracker.log_params({"adapted": job.model, "normals": str(job.normals), **recent, **of_schooling(job.schooling)})
        fitted = fit(line, tracker, None, stop)
        detector = adapted_detector(line, fitted.model, old, job.rate, [stop, *chosen_callbacks(line, None)])
        profile = make_profile(detector, line.datamodule)
        line.datamodule = line.datamodule.data  # what it is judged by is as it was
        judge(line, tracker, fitted, detector, profile)
        status = "FINISHED"
    except BaseException as error:
        status = "KILLED" if isinstance(error, Interrupted | KeyboardInterrupt) else "FAILED"
        reason = f"{type(error).__name__}: {error}"
        raise
    finally:
        keep_checkpoints(tracker)
        tracker.finish(status, reason)
    return tracker.run_id


def of_schooling(schooling: Schooling) -> dict[str, float]:
    """How it is trained on, as parameters of the run."""
    return {f"adapt/{name}": value for name, value in schooling._asdict().items()}


def adapted_detector(
    line: CommandLine, model: LitAutoencoder, old: Detector, rate: float, callbacks: list[L.Callback]
) -> Detector:
    """The detector of the model and of the other members, each trained on from where it stood."""
    members = [model]
    for witness in old.witnesses[1:]:
        member = type(model)(**model.init_args)
        member.load_state_dict(witness.model.state_dict())
        member.continue_training(rate)
        members.append(train_beside(line, member, callbacks))
    models = [one.cpu().eval().requires_grad_(False) for one in members]
    data: LitData = line.datamodule
    return fit_detector(models, old.settings, data)
