"""Breaks promotions of a store, each in a process of its own: ``python registry_driver.py killed|raced|watched URI``.

MLflow is imported once; the processes are forked before anything has been opened. What happened is printed as JSON.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Callable

from mlflow import MlflowClient

from lit_ae.errors import UserError
from pipelines import registry
from pipelines.promoting import lock

CHANGES = (
    "set_registered_model_tag",
    "set_registered_model_alias",
    "delete_registered_model_alias",
    "delete_registered_model_tag",
)


def client() -> MlflowClient:
    """A client of the store that the command names."""
    return MlflowClient(sys.argv[2])


def forked(work: Callable[[], object]) -> int:
    """Begins work in a process of its own; its id. What it returns is printed, and a refusal too."""
    pid = os.fork()
    if pid:
        return pid
    try:
        said = work()
    except UserError as refusal:
        said = str(refusal)
    os.write(1, f"{json.dumps(said)}\n".encode())
    os._exit(0)


def ended(*pids: int) -> None:
    for pid in pids:
        os.waitpid(pid, 0)


def make(client: MlflowClient, name: str, champion: str | None) -> None:
    """Three versions: 1 is the previous champion, 2 the champion (if any) and 3 the challenger."""
    client.create_registered_model(name)
    for _ in range(3):
        client.create_model_version(name, "s3://nowhere/model")
    client.set_registered_model_alias(name, registry.CHALLENGER, "3")
    if champion:
        client.set_registered_model_alias(name, registry.CHAMPION, champion)
        client.set_registered_model_alias(name, registry.PREVIOUS, "1")


def crown_and_die(name: str, version: str, step: int) -> None:
    """Crowns the version, and is killed right before the change of this number (from 0)."""
    left = step

    def dying(method: Callable) -> Callable:
        def call(*args: object) -> object:
            nonlocal left
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return method(*args)

        return call

    mortal = client()
    for change in CHANGES:
        setattr(mortal, change, dying(getattr(mortal, change)))
    registry.crown(mortal, name, version)


def story(name: str, step: int) -> dict:
    """Where the aliases stand after the kill, and after the next command has mended what was left."""
    after = registry.standing(client(), name)
    registry.mend(client(), name)
    tags = client().get_registered_model(name).tags
    return {"step": step, "after": after, "mended": registry.standing(client(), name), "tags": tags}


def killed() -> None:
    """A kill at each step of a promotion."""
    ended(forked(lambda: [make(client(), f"step{step}", "2") for step in range(6)]))
    ended(*(forked(lambda step=step: crown_and_die(f"step{step}", "3", step)) for step in range(6)))
    ended(forked(lambda: [story(f"step{step}", step) for step in range(6)]))


def hold(seconds: float, unlock: bool = False) -> str:
    """Holds the lock for so long."""
    with lock.alone(client(), "raced", unlock) as held:
        time.sleep(seconds)
        held.require()
    return "won"


def die_holding() -> None:
    with lock.alone(client(), "raced"):
        os.kill(os.getpid(), signal.SIGKILL)


def age() -> None:
    """Makes the lock as old as if its holder had been silent for two minutes."""
    client().set_registered_model_tag("raced" + lock.SUFFIX, lock.HEARD_TAG, str(time.time() - 120))


def raced() -> None:
    """Four at once; one that dies with the lock; three that take over what it left; and what is left at the end."""
    ended(*(forked(lambda: hold(8.0)) for _ in range(4)))
    ended(forked(die_holding))
    ended(forked(lambda: hold(0.0)))
    ended(forked(age))
    ended(forked(lambda: hold(0.0)))
    ended(*(forked(lambda: hold(8.0, unlock=True)) for _ in range(3)))
    ended(forked(lambda: [model.name for model in client().search_registered_models("name LIKE 'raced%'")]))


def watched() -> None:
    """Who looks for the champion while it changes 20 times always finds one."""
    ended(forked(lambda: make(client(), "watched", "2")))
    mover = forked(lambda: [registry.crown(client(), "watched", str(1 + turn % 2)) for turn in range(20)])

    def look() -> list[str]:
        seen: list[str] = []
        while len(seen) < 200:
            seen.append(str(client().get_model_version_by_alias("watched", registry.CHAMPION).version))
        return sorted(set(seen))

    ended(mover, forked(look))


if __name__ == "__main__":
    ended(forked(lambda: len(client().search_registered_models())))  # makes the schema
    {"killed": killed, "raced": raced, "watched": watched}[sys.argv[1]]()
