"""Registered models and their aliases: champion, challenger and previous.

The registry moves one alias at a time and can't compare before it does. So a change of champion is first written down
in a tag of the registered model, then made, and :func:`mend` finishes what a process that died has left.
"""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from requests.exceptions import RequestException

from lit_ae.errors import UserError
from pipelines.command_line import read_yaml
from pipelines.models import RUN_ID
from pipelines.store import find_run, is_not_there, tracking_uri, what_to_do, without_password
from pipelines.values import closest

CHAMPION, CHALLENGER, PREVIOUS = "champion", "challenger", "previous"
MOVE_TAG = "lit_ae.move"
REGISTRATION_SECONDS = 30
REGISTERED = re.compile(r"models:/(?P<name>[^/@]+)[/@](?P<version>[^/@]+)")
LOGGED = re.compile(r"models:/(?P<model_id>m-[0-9a-f]+)")


class Standing(NamedTuple):
    """The number of the version that has each alias of a registered model, as text; None for none."""

    champion: str | None
    challenger: str | None
    previous: str | None


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


@contextmanager
def answering() -> Iterator[None]:
    """Makes one sentence of what the registry's server does instead of answering, and of what it refuses.

    Raises:
        UserError: it is down, slow, answers an error, or wants a password.
    """
    try:
        yield
    except (MlflowException, RequestException) as error:
        raise UserError(what_to_do(tracking_uri(), error)) from error


def check_name(name: str) -> None:
    """Refuses what is no name of a registered model.

    Raises:
        UserError: it is empty, or MLflow could not take it.
    """
    if not name.strip() or re.search(r"[/:]", name):
        raise UserError(f"'{name}' is no name of a registered model: give one without / and :, such as digits.")


@answering()
def standing(client: MlflowClient, name: str) -> Standing:
    """The aliases of a registered model.

    Raises:
        UserError: there is no such model.
    """
    try:
        aliases = client.get_registered_model(name).aliases
    except MlflowException as error:
        if not is_not_there(error):
            raise
        raise UserError(_unknown_name(client, name)) from error
    versions = (aliases.get(alias) for alias in (CHAMPION, CHALLENGER, PREVIOUS))
    return Standing(*(None if version is None else str(version) for version in versions))  # some stores give numbers


@answering()
def is_registered(client: MlflowClient, name: str) -> bool:
    """Whether there is a registered model of that name."""
    with _absent_is_fine():
        client.get_registered_model(name)
        return True
    return False


@answering()
def version_of(client: MlflowClient, name: str, version: str) -> ModelVersion:
    """A version of a registered model by its number, or by an alias.

    Raises:
        UserError: there is no such version or alias.
    """
    try:
        if version.isdecimal():
            return client.get_model_version(name, version)
        return client.get_model_version_by_alias(name, version)
    except MlflowException as error:
        if not is_not_there(error):
            raise
        raise UserError(_unknown_version(client, name, version)) from error


@answering()
def origin_of(client: MlflowClient, address: str) -> Origin:
    """Where the model at an address (see :data:`pipelines.models.FORMS`) comes from.

    A folder's run is the one that its MLmodel file names, or the one in whose folder it lies, if the store has it.

    Raises:
        UserError: there is no such registered model, version or alias.
    """
    if address.startswith("runs:/") or RUN_ID.fullmatch(address):
        found = RUN_ID.match(address.removeprefix("runs:/"))
        return Origin(found[0] if found else None)
    if found := LOGGED.fullmatch(address):
        return Origin(_run_of_logged(client, found["model_id"]))
    if found := REGISTERED.fullmatch(address):
        version = version_of(client, found["name"], found["version"])
        return Origin(version.run_id or None, found["name"], str(version.version))
    return Origin(_run_of_folder(client, Path(address)))


def _run_of_logged(client: MlflowClient, model_id: str) -> str | None:
    with _absent_is_fine():
        run_id: str | None = client.get_logged_model(model_id).source_run_id
        return run_id
    return None


def _run_of_folder(client: MlflowClient, folder: Path) -> str | None:
    described = folder / "MLmodel"
    named = read_yaml(described).get("run_id") if described.is_file() else None
    run_id = named or folder.absolute().parent.name
    with _absent_is_fine():
        return str(client.get_run(run_id).info.run_id) if RUN_ID.fullmatch(run_id) else None
    return None


@answering()
def register(client: MlflowClient, name: str, run_id: str) -> ModelVersion:
    """Registers the run's model under the name, with the alias challenger; one that is registered is not again.

    Raises:
        UserError: there is no such run, or it has no model.
    """
    check_name(name)
    source = model_of(client, run_id)
    with _taken_is_fine():
        client.create_registered_model(name)
    version = registered_as(client, name, source)
    if version is None:
        logged = source.removeprefix("models:/")  # which a server wants to be told apart
        made = client.create_model_version(
            name, source, run_id, await_creation_for=REGISTRATION_SECONDS, model_id=logged
        )
        version = client.get_model_version(name, made.version)
    client.set_registered_model_alias(name, CHALLENGER, version.version)
    return version


@answering()
def registered_as(client: MlflowClient, name: str, source: str) -> ModelVersion | None:
    """The version that a logged model, by its address, is registered as; None where it is not."""
    versions = client.search_model_versions(f"name='{name}'")
    return next((version for version in versions if version.source == source), None)


def model_of(client: MlflowClient, run_id: str) -> str:
    """The address of a run's logged model.

    Raises:
        UserError: there is no such run, or it has no model.
    """
    run = find_run(client, tracking_uri(), run_id)
    made = run.outputs.model_outputs if run.outputs else []
    if not made:
        raise UserError(f"Run {run_id} has no model (its status is {run.info.status}): name a run that has ended well.")
    return f"models:/{max(made, key=lambda output: output.step).model_id}"


@answering()
def crown(client: MlflowClient, name: str, version: str) -> None:
    """Makes a version the champion, and the champion the previous one.

    A process that dies in the middle leaves the old or the new champion, and :func:`mend` puts the others right. Only
    whoever holds the lock of the name (see :mod:`pipelines.promoting.lock`) may call it.
    """
    old = standing(client, name)
    client.set_registered_model_tag(name, MOVE_TAG, json.dumps({"from": old.champion, "to": version}))
    client.set_registered_model_alias(name, CHAMPION, version)
    mend(client, name)


@answering()
def mend(client: MlflowClient, name: str) -> None:
    """Finishes the change of champion that is written down; one whose champion was not set has not happened."""
    move = json.loads(client.get_registered_model(name).tags.get(MOVE_TAG, "null"))
    if move is None:
        return
    now = standing(client, name)
    if now.champion == move["to"]:
        if move["from"] is not None and now.previous != move["from"]:
            client.set_registered_model_alias(name, PREVIOUS, move["from"])
        if now.challenger == move["to"]:
            client.delete_registered_model_alias(name, CHALLENGER)
    client.delete_registered_model_tag(name, MOVE_TAG)


@contextmanager
def _absent_is_fine() -> Iterator[None]:
    try:
        yield
    except MlflowException as error:
        if not is_not_there(error):
            raise


@contextmanager
def _taken_is_fine() -> Iterator[None]:
    try:
        yield
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _unknown_name(client: MlflowClient, name: str) -> str:
    names = [model.name for model in client.search_registered_models()]
    nearest = closest(name, names)
    hint = f"did you mean {nearest}?" if nearest else f"there are {', '.join(sorted(names)[:5])}." if names else ""
    hint = hint or "register one with --run <run id>."
    return f"There is no registered model '{name}' in {without_password(tracking_uri())}: {hint}"


def _unknown_version(client: MlflowClient, name: str, version: str) -> str:
    standing(client, name)
    if version.isdecimal():
        known = sorted((int(one.version) for one in client.search_model_versions(f"name='{name}'")), reverse=True)
        there = ", ".join(map(str, known[:5])) or "none"
        return f"'{name}' has no version {version}: it has {there}."
    aliases = client.get_registered_model(name).aliases
    nearest = closest(version, aliases)
    hint = f"did you mean {nearest}?" if nearest else f"it has {', '.join(sorted(aliases)) or 'none'}."
    return f"'{name}' has no alias '{version}': {hint}"
