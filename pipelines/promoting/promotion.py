"""A promotion from the lock to the new champion: read it from :func:`promote` downwards."""

import json
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from mlflow import MlflowClient

from lit_ae.errors import UserError
from pipelines.promote import Job
from pipelines.promoting.card import Verdict, as_description, headline, model_card, now, version_tags
from pipelines.promoting.contender import Contender, fetch
from pipelines.promoting.decision import decide
from pipelines.promoting.evidence import Evidence
from pipelines.promoting.frozen import rows_of
from pipelines.promoting.gathering import gather
from pipelines.promoting.lock import Lock, alone
from pipelines.promoting.policy import Policy
from pipelines.provenance import NOTE, code_version
from pipelines.registry import (
    CHALLENGER,
    CHAMPION,
    answering,
    check_name,
    crown,
    is_registered,
    mend,
    model_of,
    register,
    registered_as,
    standing,
    version_of,
)
from pipelines.store import connect, tracking_uri
from pipelines.summary import ui_command
from pipelines.terminal import keep_quiet
from pipelines.tracking import Tracker

REFUSED = 1  # exit code


def promote(job: Job, policy: Policy) -> int:
    """Judges one version, and makes it the champion if it passes; returns the exit code.

    Raises:
        UserError: for a mistake or a fault; then nothing was changed.
    """
    keep_quiet()
    check_name(job.name)
    client = connect(tracking_uri())
    if not job.run:
        standing(client, job.name)
    with ending_on_sigterm(), nullcontext() if job.dry_run else alone(client, job.name, job.unlock) as lock:
        if lock and is_registered(client, job.name):
            mend(client, job.name)
        return roll_back(client, job, lock) if job.rollback else put_up(client, job, policy, lock)


class Case(NamedTuple):
    """A promotion that is judged.

    Attributes:
        verdict: on the challenger.
        challenger: asks for promotion.
        champion: None for the first model of a name.
        evidence: that the verdict follows from.
    """

    verdict: Verdict
    challenger: Contender
    champion: Contender | None
    evidence: Evidence

    @property
    def card(self) -> str:
        """The model card, as Markdown."""
        return model_card(self.verdict, self.challenger, self.champion)


def put_up(client: MlflowClient, job: Job, policy: Policy, lock: Lock | None) -> int:
    """Judges the version that asks, records the verdict, and crowns it if it may be."""
    with tempfile.TemporaryDirectory(prefix="lit_ae_promotion_") as scratch:
        challenger = candidate(client, job, Path(scratch))
        case = judged(client, job, policy, challenger, Path(scratch))  # before anything is registered
    tell(case)
    if lock is not None:
        if job.run:
            challenger.version = str(register(client, job.name, job.run).version)
        with recorded(job, f"promote {job.name} {challenger.version}") as tracker:
            record(tracker, case, policy)
            keep_verdict(client, case, tracker.run_id)
            if case.verdict.promoted:
                lock.require()
                crown(client, job.name, str(challenger.version))
                print(f"Champion    models:/{job.name}@{CHAMPION} is version {challenger.version}")
            print(f"Run         {tracker.run_id}\nLook        {ui_command()}")
    return 0 if case.verdict.promoted else REFUSED


def candidate(client: MlflowClient, job: Job, scratch: Path) -> Contender:
    """The model that asks for promotion; that of a run need not be registered yet.

    Raises:
        UserError: there is no such run, version or alias, or it is the champion already.
    """
    if job.run:
        source = model_of(client, job.run)
        version = registered_as(client, job.name, source)
        if version is None:
            return fetch(client, source, scratch)
    elif job.version == CHALLENGER and standing(client, job.name).challenger is None:
        raise UserError(f"'{job.name}' has no challenger: name one with --version N or --run <run id>.")
    else:
        version = version_of(client, job.name, job.version)
    number = str(version.version)
    if number == standing(client, job.name).champion:
        raise UserError(f"Version {number} of '{job.name}' is the champion already: name another.")
    return fetch(client, f"models:/{job.name}/{number}", scratch)


def judged(client: MlflowClient, job: Job, policy: Policy, challenger: Contender, scratch: Path) -> Case:
    """The decision with all that it rests on; under --force a champion that can't be judged stops nothing."""
    champion: Contender | None = None
    holder = standing(client, job.name).champion if is_registered(client, job.name) else None
    gates = policy.first if holder is None else policy.challenger
    try:
        if holder is not None:
            champion = fetch(client, f"models:/{job.name}/{holder}", scratch)
        data = rows_of(champion or challenger)
        evidence = gather(challenger, champion, data, gates)
    except UserError as fault:
        if not job.force:
            raise
        evidence = Evidence(is_first=holder is None, foreign=str(fault).rstrip("."))
    verdict = Verdict(job.name, decide(evidence, policy), job.reason if job.force else None)
    return Case(verdict, challenger, champion, evidence)


def tell(case: Case) -> None:
    """The verdict and its reasons, in the terminal."""
    print(f"\n{case.verdict.name} {case.challenger.version or case.challenger.address}")
    for gate in case.verdict.decision.gates:
        print(f"  {gate.name:13} {gate.outcome:15} {gate.reason}")
    print(f"{headline(case.verdict, case.champion)} {case.verdict.decision.reason}")


@contextmanager
def recorded(job: Job, title: str) -> Iterator[Tracker]:
    """The one run of this command. Whatever happens, its status says it."""
    tracker = Tracker.open(job.experiment, title, output_dir=job.output_dir, tags=code_version())
    try:
        yield tracker
    except BaseException as error:
        tracker.finish("KILLED" if isinstance(error, KeyboardInterrupt | SystemExit) else "FAILED", str(error))
        raise
    tracker.finish("FINISHED")


def record(tracker: Tracker, case: Case, policy: Policy) -> None:
    """Card, decision, policy and figures, in the run."""
    verdict, challenger, champion = case.verdict, case.challenger, case.champion
    tracker.set_tags({NOTE: case.card, "model": verdict.name, "lit_ae.verdict": verdict.word})
    if verdict.forced:
        tracker.set_tags({"lit_ae.forced": verdict.forced})
    tracker.log_params({"model": verdict.name, "version": challenger.version, "run": challenger.run.info.run_id})
    tracker.log_params({"champion": champion.version if champion else "none"})
    rules = {
        section: {name: asdict(options) for name, options in gates.items()} for section, gates in vars(policy).items()
    }
    gates = [asdict(gate) for gate in verdict.decision.gates]
    content = {"verdict": verdict.word, "gates": gates, "evidence": asdict(case.evidence), "policy": rules}
    for file, text in (("model_card.md", case.card), ("decision.json", json.dumps(content, indent=2) + "\n")):
        (tracker.directory / file).write_text(text)
        tracker.log_file(tracker.directory / file)
    tracker.log_metrics(metrics_of(case.evidence), 0)


def metrics_of(evidence: Evidence) -> dict[str, float]:
    """The numbers of the evidence by MLflow key, such as ``promotion/test/gain``."""
    parts = {
        name: getattr(evidence, name) for name in ("test", "calibration", "recall", "alarms", "cost", "rival_cost")
    }
    found: dict[str, Any] = {}
    for name, part in parts.items():
        values = asdict(part) if part is not None else {}
        found |= {f"promotion/{name}/{key}": value for key, value in values.items() if isinstance(value, int | float)}
        if hasattr(part, "gain"):
            found[f"promotion/{name}/gain"] = part.gain
    return {key: float(value) for key, value in found.items() if not isinstance(value, bool)}


@answering()
def keep_verdict(client: MlflowClient, case: Case, run_id: str) -> None:
    """Tags and description of the version."""
    name, version = case.verdict.name, str(case.challenger.version)
    for key, value in version_tags(case.verdict, case.champion, run_id).items():
        client.set_model_version_tag(name, version, key, value)
    client.update_model_version(name, version, as_description(case.card, run_id))


def roll_back(client: MlflowClient, job: Job, lock: Lock | None) -> int:
    """Makes the previous champion, which must be whole, the champion again; the two change places.

    Raises:
        UserError: there is no previous one, or it is damaged.
    """
    now_is = standing(client, job.name)
    back = now_is.previous
    if back is None:
        raise UserError(f"'{job.name}' has no previous champion: promote a version with --version N instead.")
    with tempfile.TemporaryDirectory(prefix="lit_ae_promotion_") as scratch:
        fetch(client, f"models:/{job.name}/{back}", Path(scratch))
    said = f"Champion of '{job.name}' {{}} version {back} again, in place of {now_is.champion}"
    if lock is None:
        print(f"{said.format('would be')}.")
        return 0
    why = f"version {back} in place of {now_is.champion}, {now()}{f': {job.reason}' if job.reason else ''}"
    with recorded(job, f"roll back {job.name} to {back}") as tracker:
        tracker.set_tags({NOTE: f"Rolled back: {why}", "model": job.name, "lit_ae.verdict": "rolled back"})
        tracker.log_params({"model": job.name, "version": back, "champion": now_is.champion})
        keep_rollback(client, job.name, back, why)
        lock.require()
        crown(client, job.name, back)
    print(f"{said.format('is')} (run {tracker.run_id}).")
    return 0


@answering()
def keep_rollback(client: MlflowClient, name: str, version: str, why: str) -> None:
    """The tag of the version that was put back."""
    client.set_model_version_tag(name, version, "lit_ae.rolled_back_to", why)


@contextmanager
def ending_on_sigterm() -> Iterator[None]:
    """Makes SIGTERM an exception in this block, so that lock and run are given back."""

    def stop(number: int, frame: Any) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
