"""Registered models and their aliases: champion, challenger and previous.

The registry moves one alias at a time and can't compare before it does. So a change of champion is first written down
in a tag of the registered model, then made, and :func:`mend` finishes what a process that died has left.
"""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from requests.exceptions import RequestException

from lit_ae.errors import UserError
from pipelines.store import find_run, is_not_there, tracking_uri, what_to_do, without_password
from pipelines.values import closest

CHAMPION, CHALLENGER, PREVIOUS = "champion", "challenger", "previous"
MOVE_TAG = "lit_ae.move"
REGISTRATION_SECONDS = 30


class Standing(NamedTuple):
    """The number of the version that has each alias of a registered model, as text; None for none."""

    champion: str | None
    challenger: str | None
    previous: str | None


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
    try:
        client.get_registered_model(name)
    except MlflowException as error:
        if not is_not_there(error):
            raise
        return False
    return True


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
        made = client.create_model_version(name, source, run_id, await_creation_for=REGISTRATION_SECONDS)
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
