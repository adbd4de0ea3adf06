"""The figures of a run, as a table for people: in the terminal, and as artefacts."""

import json
from pathlib import Path

import mlflow

from data.base import LitData
from lit_ae.module import LitAutoencoder
from pipelines.command_line import ROOT
from pipelines.detection_page import markdown
from pipelines.judging.detection import Detection
from pipelines.judging.verdict import Verdict
from pipelines.provenance import NOTE, reading
from pipelines.store import without_password
from pipelines.tracking import Tracker

COLUMNS = {"test": "model", "pca": "PCA", "random": "random", "ngrams": "n-grams"}
"""Whose figures stand beside each other, by the group of their keys."""

ALARMS_TAG = "lit_ae.alarms"


def table(figures: dict[str, float]) -> list[tuple[str, ...]]:
    """A row of heads; then each figure's name, the model's value, and those of the baselines (empty for none)."""
    groups = [group for group in COLUMNS if group in ("test", "pca") or any(k.startswith(f"{group}/") for k in figures)]
    names = [key.removeprefix("test/") for key in figures if key.startswith("test/")]

    def beside(group: str, name: str) -> float | None:
        return figures.get(f"{group}/{name}", figures.get(f"baseline_{group}/{name}"))

    values = [[beside(group, name) for group in groups] for name in names]
    rows = [(name, *("" if v is None else f"{v:.5g}" for v in row)) for name, row in zip(names, values, strict=True)]
    return [("", *(COLUMNS[group] for group in groups)), *rows]


def write_figures(verdict: Verdict, tracker: Tracker, description: str) -> None:
    """``figures.md`` and ``figures.json``, and on the run's page: every test figure with its protocol."""
    heads, *rows = (f"| {' | '.join(cells)} |" for cells in table(verdict.figures))
    protocol = "\n".join(f"- **{name}**: {text}." for name, text in verdict.protocol.items())
    line = "| --- " * (heads.count("|") - 1) + "|"
    text = "\n".join([heads.replace("|  |", "| test figure |", 1), line, *rows, "", f"{protocol}\n"])
    markdown = tracker.directory / "figures.md"
    markdown.write_text(text)
    kl = None if verdict.kl is None else verdict.kl.tolist()
    plain = {"figures": verdict.figures, "protocol": verdict.protocol, "kl_per_dimension": kl}
    (tracker.directory / "figures.json").write_text(json.dumps(plain, indent=2) + "\n")
    tracker.log_file(markdown)
    tracker.log_file(tracker.directory / "figures.json")
    if verdict.detection is not None:
        text += f"\n{write_detection(verdict.detection, tracker)}"
    tracker.set_tags({NOTE: f"{description}\n\n{text}"})


def write_detection(detection: Detection, tracker: Tracker) -> str:
    """``detection.md`` and ``detection.json``: every detector's figures; returns the page."""
    page = markdown(detection.figures, detection.protocol, "Detection")
    (tracker.directory / "detection.md").write_text(page)
    plain = {"figures": detection.figures, "protocol": detection.protocol}
    (tracker.directory / "detection.json").write_text(json.dumps(plain, indent=2) + "\n")
    for name in ("detection.md", "detection.json"):
        tracker.log_file(tracker.directory / name)
    return page


def print_summary(verdict: Verdict, tracker: Tracker, pictures: Path, model: LitAutoencoder, data: LitData) -> None:
    """What a user wants to know at the end, and what to type next."""
    if told := reading(data).strip():
        print(f"\n{told}")
    print_figures(
        verdict, f"{type(model).__name__} on {data.spec.name}, test split ({data.split_sizes['test']:,} rows)"
    )
    print(f"\nPictures    {pictures}")
    print(f"Model       runs:/{tracker.run_id}/model")
    print(f"Repeat      python -m pipelines.train --config runs:/{tracker.run_id}/config.yaml")
    print(f"Look        {ui_command()}")


def print_figures(verdict: Verdict, heading: str) -> None:
    """The table of :func:`table` below a heading, and the protocol."""
    rows = table(verdict.figures)
    width = max(len(name) for name, *_ in rows)
    print(f"\n{heading}")
    for name, *values in rows:
        print(f"  {name:{width}}", *(f"{value:>10}" for value in values), sep="  ")
    for name, text in verdict.protocol.items():
        print(f"  {name}: {text}")


def tell_alarms(alarms: list[str], tracker: Tracker) -> None:
    """What the training warns of: a line each, and all of them in the run's tag ``lit_ae.alarms``."""
    for alarm in alarms:
        print(f"Alarm       {alarm}")
    if alarms:
        tracker.set_tags({ALARMS_TAG: " ".join(alarms)})


def ui_command() -> str:
    """How the run is looked at: the server's address, or the command that opens the store."""
    uri = without_password(mlflow.get_tracking_uri())
    if uri == f"sqlite:///{ROOT / 'mlflow.db'}" and (ROOT / "Makefile").exists():
        return "make ui"
    return uri if uri.startswith("http") else f"mlflow ui --backend-store-uri {uri}"
