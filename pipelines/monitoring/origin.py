"""Where a model comes from: the run that trained it, and the name that it is registered under."""

import re
from pathlib import Path
from typing import NamedTuple

import yaml

from lit_ae.errors import UserError
from pipelines.models import RUN_ID, fetch_model
from pipelines.registry import answering, version_of
from pipelines.store import connect, tracking_uri

REGISTERED = re.compile(r"models:/(?P<name>[^/@]+)[/@](?P<version>[^/@]+)")


class Origin(NamedTuple):
    """Where a model comes from.

    Attributes:
        run_id: of the run that packed it; None where nobody knows.
        name: that it is registered under; None for any other address.
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
    if found := RUN_ID.search(address):
        return Origin(found[0])
    described = yaml.safe_load((fetch_model(address, output_dir).parents[1] / "MLmodel").read_text())
    return Origin(described.get("run_id"))


def required_run(origin: Origin, address: str) -> str:
    """The id of the run that trained a model.

    Raises:
        UserError: nobody knows it.
    """
    if origin.run_id is None:
        raise UserError(f"Nothing says which run packed {address}: name the model by its run or its registered name.")
    return origin.run_id
