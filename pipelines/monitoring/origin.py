"""What a renewed model takes over from the run of the old one, and the name that it is registered under."""

import shutil
from pathlib import Path
from typing import Any

from mlflow.entities import Run

from pipelines.command_line import local_file
from pipelines.registry import CHALLENGER, Origin, answering, check_name, register
from pipelines.store import connect, find_run, tracking_uri
from pipelines.tracking import Tracker

CONFIG = "config.yaml"
UNMOVED = {
    *("test/mse", "test/token_accuracy", "test/base_rate", "test/auroc", "test/ap"),
    *("test/recall_at_false_alarms_0.01", "test/recall_at_false_alarms_0.05"),
}
KEPT_TAGS = ("variant", "network", "data", "synthetic")


def check_registration(origin: Origin, wanted: str | None) -> Origin:
    """The origin with the name to register under, where one is given.

    Raises:
        UserError: it is no name.
    """
    if wanted is None:
        return origin
    check_name(wanted)
    return origin._replace(name=wanted)


def run_of(origin: Origin) -> Run | None:
    """The run that packed the model; None where nobody knows it.

    Raises:
        UserError: the store has no such run.
    """
    if origin.run_id is None:
        return None
    uri = tracking_uri()
    return find_run(connect(uri), uri, origin.run_id)


def run_tags(origin: Origin) -> dict[str, str]:
    """What the model's run says of variant and data."""
    run = run_of(origin)
    return {} if run is None else {name: run.data.tags[name] for name in KEPT_TAGS if name in run.data.tags}


def unmoved_figures(origin: Origin) -> dict[str, float]:
    """The test figures of the model's run that follow from its weights and scores, whatever its threshold is."""
    run = run_of(origin)
    return {} if run is None else {key: value for key, value in run.data.metrics.items() if key in UNMOVED}


def take_config(origin: Origin, tracker: Tracker) -> dict[str, Any]:
    """Keeps the configuration of the model's run in this one too; returns the parameters that tell of its data."""
    run = run_of(origin)
    if run is None or origin.run_id is None:
        return {}
    shutil.copyfile(config_of(origin.run_id, tracker.directory.parent), tracker.directory / CONFIG)
    tracker.log_file(tracker.directory / CONFIG)
    return {name: value for name, value in run.data.params.items() if name.startswith("data/")}


def config_of(run_id: str, output_dir: Path) -> Path:
    """The resolved configuration of a run, on this disk.

    Raises:
        UserError: it has none.
    """
    return local_file(f"runs:/{run_id}/{CONFIG}", output_dir)


def tell_registered(origin: Origin, run_id: str) -> None:
    """Registers the run's model as challenger, where it has a name, and says what to type next.

    Raises:
        UserError: the registry does not answer.
    """
    if origin.name is None:
        print(f"Model       runs:/{run_id}/model (not registered: name it by --register)")
        return
    with answering():
        version = register(connect(tracking_uri()), origin.name, run_id)
    print(f"Registered  models:/{origin.name}@{CHALLENGER} (version {version.version})")
    print(f"Next        python -m pipelines.promote {origin.name}")
