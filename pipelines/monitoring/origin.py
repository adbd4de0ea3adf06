"""Where a model comes from, and where what is made of it goes: the run that packed it, and its registered name."""

import re
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from mlflow.entities import Run

from pipelines.command_line import local_file
from pipelines.models import INSIDE, RUN_ID, fetch_model
from pipelines.registry import CHALLENGER, answering, check_name, register, version_of
from pipelines.store import connect, find_run, tracking_uri
from pipelines.tracking import Tracker

REGISTERED = re.compile(r"models:/(?P<name>[^/@]+)[/@](?P<version>[^/@]+)")
CONFIG = "config.yaml"
UNMOVED = {
    *("test/mse", "test/token_accuracy", "test/base_rate", "test/auroc", "test/ap"),
    *("test/recall_at_false_alarms_0.01", "test/recall_at_false_alarms_0.05"),
}
KEPT_TAGS = ("variant", "network", "data", "synthetic")


class Origin(NamedTuple):
    """Where a model comes from.

    Attributes:
        run_id: of the run that packed it; None where nobody knows.
        name: that it is, or what is made of it will be, registered under; None for none.
        version: its number there.
    """

    run_id: str | None
    name: str | None = None
    version: str | None = None


def origin_of(address: str, output_dir: Path) -> Origin:
    """The origin of a model by its address.

    Raises:
        UserError: there is no such registered model, or its server does not answer.
    """
    if found := REGISTERED.fullmatch(address):
        with answering():
            version = version_of(connect(tracking_uri()), found["name"], found["version"])
            return Origin(version.run_id or None, found["name"], str(version.version))
    if runs := RUN_ID.findall(address):
        return Origin(runs[-1])
    packed = fetch_model(address, output_dir).parents[len(INSIDE.parts) - 1]
    return Origin(yaml.safe_load((packed / "MLmodel").read_text()).get("run_id"))


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
