"""Keeps the model that answers, and changes it when its alias points to another version."""

import logging
import re
import threading
from dataclasses import dataclass
from pathlib import Path

from lit_ae.errors import UserError
from pipelines.registry import answering, version_of
from pipelines.serving.figures import Figures
from pipelines.serving.logs import say
from pipelines.serving.served import Served, load
from pipelines.store import connect, tracking_uri

ALIAS = re.compile(r"models:/(?P<name>[^/@]+)@(?P<alias>[^/@]+)")
PATIENCE = 10.0  # s
VERSION = re.compile(r"models:/(?P<name>[^/@]+)/(?P<version>[^/@]+)")


@dataclass(frozen=True)
class Refusal:
    """A version that the alias points to and that is not served, with the reason in a sentence."""

    version: str
    reason: str
    is_final: bool


class Keeper:
    """The model that answers now, and whatever would take its place.

    Every request takes :attr:`current` once and is answered by that, so a change drops none.

    Args:
        address: of the model; one with an alias is watched.
        output_dir: where runs keep their files on this machine.
        device: where the model runs.
        figures: what is counted.

    Attributes:
        current: the model that answers.
        refused: the alias's version where it is not the one that answers.

    Raises:
        UserError: there is no such model, or it can't be loaded.
    """

    def __init__(self, address: str, output_dir: Path, device: str, figures: Figures):
        self.address, self._output_dir, self._device, self._figures = address, output_dir, device, figures
        self._alias = ALIAS.fullmatch(address)
        self.refused: Refusal | None = None
        self._changing, self._ended, self._registry_answers = threading.Lock(), threading.Event(), True
        self.current = self._load(self._version() if self._alias else None)
        self._figures.show_model(self.current.name, self.current.version)

    @property
    def alias(self) -> str | None:
        return self._alias["alias"] if self._alias else None

    def watch(self, seconds: float) -> None:
        """Looks at the alias every so many seconds, in a thread of its own, until :meth:`end`; 0 for never."""
        if self._alias and seconds:
            thread = threading.Thread(target=self._look_every, args=(seconds,), name="alias", daemon=True)
            thread.start()

    def end(self) -> None:
        """Looks no more; what is under way is given some seconds."""
        self._ended.set()
        if self._changing.acquire(timeout=PATIENCE):
            self._changing.release()

    def check(self) -> Served:
        """Serves the version that the alias points to, if that is another, and returns the one that answers then.

        Raises:
            UserError: the registry does not say, or the version is refused; the old one goes on answering.
        """
        if self._alias is None:
            return self.current
        with self._changing:
            version = self._asked()
            if version != self.current.version:
                self._change_to(version)
            elif self.refused is not None:
                self._accept(None)
            return self.current

    def _look_every(self, seconds: float) -> None:
        while not self._ended.wait(seconds):
            try:
                self.check()
            except UserError:
                pass  # it has been said
            except Exception as error:  # whatever it is, the model that is loaded goes on answering
                say("The alias could not be followed", logging.ERROR, error=error)

    def _asked(self) -> str:
        try:
            version = self._version()
        except UserError as error:
            self._note_registry(False, reason=str(error))
            raise
        self._note_registry(True)
        return version

    def _note_registry(self, answers: bool, reason: str | None = None) -> None:
        if answers != self._registry_answers:
            what = "can be looked up again" if answers else "can't be looked up; the loaded model goes on serving"
            say(f"The alias {what}", logging.INFO if answers else logging.WARNING, reason=reason)
        self._registry_answers = answers
        self._figures.registry_up.set(answers)

    def _version(self) -> str:
        assert self._alias is not None
        client = connect(tracking_uri())
        with answering():
            return str(version_of(client, self._alias["name"], self._alias["alias"]).version)

    def _change_to(self, version: str) -> None:
        """Loads a version beside the one that answers; where that goes wrong, all stays as it is."""
        if self.refused is not None and self.refused.version == version and self.refused.is_final:
            raise UserError(self.refused.reason)
        try:
            new = self._load(version)
        except UserError as error:
            self._refuse(Refusal(version, str(error), is_final=False))
            raise
        if new.interface != self.current.interface:
            was, becomes = self.current.interface, new.interface
            what = next(name for name in was if was[name] != becomes[name])
            reason = (
                f"Version {version} has other {what} than the version {self.current.version} that clients know: "
                "start a server of its own for it."
            )
            self._refuse(Refusal(version, reason, is_final=True))
            raise UserError(reason)
        self._accept(new)

    def _accept(self, new: Served | None) -> None:
        if new is not None:
            say("Another version answers now", was=self.current.version, model_version=new.version)
            self.current = new
            self._figures.show_model(new.name, new.version)
            self._figures.reloads.labels("taken").inc()
        self.refused = None
        self._figures.refused.set(0)

    def _refuse(self, refusal: Refusal) -> None:
        if refusal != self.refused:
            self._figures.reloads.labels("refused" if refusal.is_final else "failed").inc()
            say(
                "A version is not served; the old one goes on",
                logging.ERROR,
                version=refusal.version,
                reason=refusal.reason,
            )
        self.refused = refusal
        self._figures.refused.set(1)

    def _load(self, version: str | None) -> Served:
        if self._alias is not None:
            name = self._alias["name"]
            return load(f"models:/{name}/{version}", name, str(version), self._output_dir, self._device)
        known = VERSION.fullmatch(self.address)
        name, version = (known["name"], known["version"]) if known else (self.address, self.address.split("/")[-1])
        run = re.match(r"runs:/(\w+)/", self.address)
        return load(self.address, name, run[1] if run else version, self._output_dir, self._device)
