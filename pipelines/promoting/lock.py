"""One promotion of a name at a time, on every store that MLflow has.

The one thing that every registry does at once or not at all is to make, or to rename, a registered model of a name that
may not be there twice. So the lock of ``digits`` is an empty registered model ``digits.promotion``. Its tags say who
holds it and when they were heard of last.
"""

import getpass
import json
import os
import re
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from lit_ae.errors import UserError
from pipelines.registry import answering
from pipelines.store import tracking_uri

SUFFIX = ".promotion"
HOLDER_TAG, HEARD_TAG = "lit_ae.holder", "lit_ae.heard"
BEAT = 5.0  # s between two signs of life
STALE = 60.0  # s without one, after which a lock may be taken over
READS = 5  # of a lock that shows no tags, as it does for a moment while it is renamed


class Lock:
    """What the one that may change a name's aliases holds."""

    def __init__(self, client: MlflowClient, name: str, key: str):
        self.client, self.model, self.key = client, name + SUFFIX, key
        self._ended = threading.Event()
        self._heart = threading.Thread(target=self._beat, name="promotion-lock", daemon=True)

    def require(self) -> None:
        """Refuses to go on where another has taken the lock over, as from a process that slept.

        Raises:
            UserError: it has.
        """
        held = _held(self.client, self.model)
        if held is None or held["key"] != self.key:
            raise UserError("Another promotion has taken over since: nothing was changed, so give the command again.")

    def start(self) -> None:
        """Begins to give signs of life."""
        self._heart.start()

    def release(self) -> None:
        """Gives the lock back, if it is still our own and the server answers, and clears away what was taken over."""
        self._ended.set()
        self._heart.join(BEAT)
        with suppress(Exception):
            held = _held(self.client, self.model)
            if held is not None and held["key"] == self.key:
                self.client.delete_registered_model(self.model)
                self._clear()

    def _clear(self) -> None:
        """Deletes the locks that someone has taken over, be it one who was too late to go on."""
        for model in self.client.search_registered_models(f"name LIKE '{self.model}.%'"):
            if re.fullmatch(f"{re.escape(self.model)}[.][0-9a-f]{{32}}", model.name):
                self.client.delete_registered_model(model.name)

    def _beat(self) -> None:
        client = MlflowClient(tracking_uri())
        while not self._ended.wait(BEAT):
            with suppress(Exception):
                client.set_registered_model_tag(self.model, HEARD_TAG, str(time.time()))


@contextmanager
def alone(client: MlflowClient, name: str, unlock: bool = False) -> Iterator[Lock]:
    """Keeps other promotions of the name away.

    Args:
        client: of the registry.
        name: of the registered model.
        unlock: take over a lock whose holder has not been heard of for :data:`STALE` seconds.

    Raises:
        UserError: another promotion is under way, or has died.
    """
    lock = Lock(client, name, uuid.uuid4().hex)
    if not _take(lock):
        _take_over(lock, name, unlock)
    lock.start()
    try:
        yield lock
    finally:
        lock.release()


@answering()
def _take(lock: Lock) -> bool:
    """Whether the lock is ours now."""
    mine = {"key": lock.key, "user": _user(), "host": socket.gethostname(), "process": os.getpid()}
    try:
        lock.client.create_registered_model(lock.model, {HOLDER_TAG: json.dumps(mine), HEARD_TAG: str(time.time())})
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
        return False
    return True


@answering()
def _take_over(lock: Lock, name: str, unlock: bool) -> None:
    """Takes over a stale lock.

    It is renamed to what its own key says, which can be done once only: of several that try, one goes on. What is left
    of it stays until the next lock is released, for who is slow could rename that one as long as the name is free.

    Raises:
        UserError: it may not be, or someone else was quicker.
    """
    held = _held(lock.client, lock.model)
    if held is None:
        raise UserError(f"Another promotion of '{name}' has just ended: give the command again.")
    silent = time.time() - held["heard"]
    who = f"{held['user']} on {held['host']}, process {held['process']}"
    if silent < STALE:
        raise UserError(f"A promotion of '{name}' is under way ({who}): wait until it has ended.")
    if not unlock:
        raise UserError(
            f"A promotion of '{name}' ({who}) was heard of {silent:.0f} s ago for the last time and holds its lock: if "
            "it is dead, give the command again with --unlock."
        )
    try:
        lock.client.rename_registered_model(lock.model, f"{lock.model}.{held['key']}")
    except MlflowException as error:
        raise UserError(
            f"Another promotion of '{name}' has just taken the lock over: wait until it has ended."
        ) from error
    if not _take(lock):
        raise UserError(f"Another promotion of '{name}' was quicker: wait until it has ended.")


@answering()
def _held(client: MlflowClient, model: str) -> dict[str, Any] | None:
    """Who holds a lock, and when they were heard of; None where nobody does.

    Raises:
        UserError: a registered model of that name is no lock.
    """
    for _ in range(READS):
        try:
            tags = client.get_registered_model(model).tags
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return None
        if HOLDER_TAG in tags and HEARD_TAG in tags:
            return {**json.loads(tags[HOLDER_TAG]), "heard": float(tags[HEARD_TAG])}
        time.sleep(0.1)
    raise UserError(f"The registered model '{model}' has the name of a promotion's lock and is none: delete it.")


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "someone"
