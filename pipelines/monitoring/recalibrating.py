"""A new threshold from the first check to the challenger: read it from :func:`recalibrate_model` downwards."""

import shutil
import tempfile
from pathlib import Path

from lit_ae.detection.detector import Detector
from lit_ae.monitoring.profile import Profile
from lit_ae.monitoring.renewal import Renewed, recalibrate
from lit_ae.serving.files import save_judgement, save_profile
from lit_ae.serving.integrity import seal
from pipelines.models import INSIDE, fetch_model
from pipelines.monitoring.intake import Reading
from pipelines.monitoring.normals import read_normals
from pipelines.monitoring.origin import check_registration, run_tags, take_config, tell_registered, unmoved_figures
from pipelines.monitoring.story import watched_model
from pipelines.provenance import NOTE, code_version
from pipelines.recalibrate import Job
from pipelines.registry import Origin, origin_of
from pipelines.store import connect, tracking_uri
from pipelines.terminal import keep_quiet
from pipelines.tracking import Tracker


def recalibrate_model(job: Job) -> int:
    """Packs the model anew with another threshold, in exactly one MLflow run; returns the exit code.

    Raises:
        UserError: for a mistake; no run is opened then.
    """
    keep_quiet()
    detector, profile = watched_model(job.model, job.output_dir)
    origin = check_registration(origin_of(connect(tracking_uri()), job.model), job.register)
    recent = read_normals(job.normals, Reading(job.delimiter, job.encoding, job.bad_rows), detector.model.spec)
    renewed = recalibrate(detector, recent, job.alpha)
    fresh = Profile.calibrated(detector, recent)._replace(features=profile.features, latent=profile.latent)
    root = fetch_model(job.model, job.output_dir).parents[len(INSIDE.parts) - 1]
    with tempfile.TemporaryDirectory(prefix="lit_ae_") as scratch:
        packed = repack(root, Path(scratch) / "model", detector, fresh)
        run_id = keep(job, origin, packed, detector, renewed)
    tell(renewed, detector)
    tell_registered(origin, run_id)
    return 0


def repack(model: Path, copy: Path, detector: Detector, profile: Profile) -> Path:
    """A copy of a packed model with another judgement; the weights are the same bytes."""
    shutil.copytree(model, copy)
    inside = copy / INSIDE
    save_judgement(detector, inside)
    save_profile(profile, inside)
    seal(inside)
    return copy


def keep(job: Job, origin: Origin, packed: Path, detector: Detector, renewed: Renewed) -> str:
    """The new version in a run of its own; returns the run's id."""
    tracker = Tracker.open(job.experiment, f"recalibrate {job.model}", output_dir=job.output_dir)
    try:
        note = f"{job.model} with the threshold of {renewed.rows:,} recent normal rows of {job.normals}: {detector}."
        tracker.set_tags({**run_tags(origin), **code_version(), NOTE: note, "recalibrated": job.model})
        tracker.log_params({"recalibrated": job.model, "normals": str(job.normals), **take_config(origin, tracker)})
        tracker.log_metrics({**unmoved_figures(origin), **detector.figures, **figures(renewed)}, 0)
        shutil.copytree(packed, tracker.directory / "model.part")
        (tracker.directory / "model.part").replace(tracker.directory / "model")
        tracker.log_model(tracker.directory / "model")
    except BaseException as error:
        tracker.finish("KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED", str(error))
        raise
    tracker.finish("FINISHED")
    return tracker.run_id


def figures(renewed: Renewed) -> dict[str, float]:
    """What the run keeps, by MLflow key."""
    return {f"recalibrate/{name}": float(value) for name, value in renewed._asdict().items()}


def tell(renewed: Renewed, detector: Detector) -> None:
    """What was done, in two lines."""
    bounded = f", bounded by the promise at {renewed.lowest:.4g}" if renewed.is_bounded else ""
    print(f"Threshold   {renewed.before:.4g} -> {renewed.threshold:.4g} (asked for {renewed.asked:.4g}{bounded})")
    print(f"Alarms      {renewed.alarms_before:.2%} -> {renewed.alarms:.2%} of {renewed.rows:,} recent normal rows")
    print(f"Detector    {detector}")
