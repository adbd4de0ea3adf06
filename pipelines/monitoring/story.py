"""A look at a model in use from the first check to the report: read it from :func:`monitor` downwards."""

import shutil
import tempfile
from pathlib import Path
from typing import Any

from lit_ae.detection.detector import Detector
from lit_ae.errors import UserError
from lit_ae.monitoring.decision import decide
from lit_ae.monitoring.profile import Profile
from lit_ae.monitoring.watch import Watch
from lit_ae.serving.files import load_detector, load_profile
from pipelines.models import fetch_model
from pipelines.monitor import Job
from pipelines.monitoring.intake import Reading, TableIntake
from pipelines.monitoring.labels import Labels
from pipelines.monitoring.log import LogIntake
from pipelines.monitoring.next_step import next_step
from pipelines.monitoring.report import Report, Seen, figures_of, write_report
from pipelines.provenance import NOTE, code_version
from pipelines.registry import Origin, origin_of
from pipelines.store import connect, tracking_uri
from pipelines.terminal import keep_quiet
from pipelines.tracking import Tracker


def monitor(job: Job) -> int:
    """Compares rows in use with the model's profile, in exactly one MLflow run; returns the exit code.

    Raises:
        UserError: for a mistake; no run is opened then, and nothing is written.
    """
    keep_quiet()
    detector, profile = watched_model(job.model, job.output_dir)
    reading = Reading(job.delimiter, job.encoding, job.bad_rows)
    labels = None if job.labels is None else Labels(job.labels, reading)
    origin = origin_of(connect(tracking_uri()), job.model)
    seen = look(intake_of(job, detector, reading, origin), profile, labels)
    decision = decide(seen.findings.evidence)
    command = next_step(decision.action, job.model, origin, job.output_dir)
    report = Report(job.model, str(job.source), seen, profile, decision, command)
    print_report(report, keep(report, job))
    return decision.exit_code


def watched_model(address: str, output_dir: Path) -> tuple[Detector, Profile]:
    """A model's detector and profile.

    Raises:
        UserError: there is no such model, or it can't be watched.
    """
    folder = fetch_model(address, output_dir)
    detector, profile = load_detector(folder), load_profile(folder)
    if detector is None:
        raise UserError(f"{address} has no detector, so nothing says what is normal: train it on data that say it.")
    if profile is None:
        raise UserError(f"{address} has no profile, as it was packed before there was one: train it again.")
    return detector, profile


def intake_of(job: Job, detector: Detector, reading: Reading, origin: Origin) -> TableIntake | LogIntake:
    """What gives the rows."""
    if job.log is None:
        assert job.input is not None
        return TableIntake(detector, job.input, job.scored, reading)
    return LogIntake(detector, job.log, job.version or origin.version)


def look(intake: TableIntake | LogIntake, profile: Profile, labels: Labels | None) -> Seen:
    """Goes through all rows once.

    Raises:
        UserError: the rows can't be read, or are too few.
    """
    watch = Watch(profile)
    first = last = None
    for taken in intake.pieces():
        if labels is not None:
            labels.note(watch.whole.rows, taken.alarm, taken.p_values == taken.p_values)
        watch.add(taken.p_values, taken.alarm, taken.rows, taken.codes)
        if taken.times is not None:
            first, last = first or taken.times.min(), taken.times.max()
    broken = intake.columns.broken
    if not broken and watch.whole.scored < watch.rows_needed:
        raise UserError(
            f"{watch.whole.scored:,} scored rows say nothing yet: this model needs {watch.rows_needed:,} or more, so "
            "give a longer table or log."
        )
    realised = None if labels is None else labels.realised(profile.promise)
    findings = watch.findings(broken, None if realised is None else realised.exceeds)
    times = None if first is None or last is None else (first, last)
    return Seen(findings, realised, watch.whole.rows, tuple(sorted(intake.columns.unknown)), times)


def keep(report: Report, job: Job) -> Path:
    """The report in a run of its own and, where that is asked for, in a folder; returns where it is on this disk."""
    with tempfile.TemporaryDirectory(prefix="lit_ae_") as scratch:
        files = write_report(report, Path(scratch))
        tracker = Tracker.open(
            job.experiment, f"monitor {job.model}: {report.decision.state}", output_dir=job.output_dir
        )
        try:
            tracker.set_tags({**tags(report), **code_version()})
            tracker.log_params({"model": job.model, "rows": report.seen.rows, "source": str(job.source)})
            tracker.log_metrics(figures_of(report), 0)
            for file in files:
                place = tracker.directory / file.name
                shutil.copyfile(file, place)
                tracker.log_file(place)
            if job.report is not None:
                copy_whole(files, job.report)
        except BaseException as error:
            tracker.finish("KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED", str(error))
            raise
        tracker.finish("FINISHED")
    return (job.report or tracker.directory) / files[0].name


def tags(report: Report) -> dict[str, Any]:
    """What the run's page says at first sight."""
    decision = report.decision
    return {NOTE: report.sentence, "monitored": report.model, "state": decision.state, "action": decision.action}


def copy_whole(files: list[Path], folder: Path) -> None:
    """Puts files into a folder, each whole or not at all.

    Raises:
        UserError: it can't be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file in files:
            draft = folder / f".{file.name}.part"
            shutil.copyfile(file, draft)
            draft.replace(folder / file.name)
    except OSError as error:
        raise UserError(f"--report {folder} can't be written ({error.strerror or error}): name another.") from error


def print_report(report: Report, place: Path) -> None:
    """The same in a few lines."""
    print(f"\n{report.sentence}")
    for line in report.decision.reasons:
        print(f"  - {line}")
    for line in report.remarks:
        print(f"  {line}")
    if report.command is not None:
        print(f"Next        {report.command}")
    print(f"Report      {place}")
