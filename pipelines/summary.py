"""The figures of a run, as a table for people: in the terminal, and as artefacts."""

import json
from pathlib import Path

import mlflow

from data.base import LitData
from lit_ae.module import LitAutoencoder
from pipelines.command_line import ROOT
from pipelines.judging.verdict import Verdict
from pipelines.provenance import NOTE
from pipelines.tracking import Tracker

ALARMS_TAG = "lit_ae.alarms"


def table(figures: dict[str, float]) -> list[tuple[str, str, str]]:
    """Rows of figure, the model's value, and PCA's beside it (empty where PCA has none)."""
    names = [key.removeprefix("test/") for key in figures if key.startswith("test/")]
    pca = {name: figures.get(f"pca/{name}") for name in names}
    return [(name, f"{figures[f'test/{name}']:.5g}", "" if pca[name] is None else f"{pca[name]:.5g}") for name in names]


def write_figures(verdict: Verdict, tracker: Tracker, description: str) -> None:
    """``figures.md`` and ``figures.json``, and on the run's page: every test figure with its protocol."""
    rows = "\n".join(f"| {name} | {value} | {pca} |" for name, value, pca in table(verdict.figures))
    protocol = "\n".join(f"- **{name}**: {text}." for name, text in verdict.protocol.items())
    text = f"| test figure | model | PCA |\n| --- | --- | --- |\n{rows}\n\n{protocol}\n"
    markdown = tracker.directory / "figures.md"
    markdown.write_text(text)
    kl = None if verdict.kl is None else verdict.kl.tolist()
    plain = {"figures": verdict.figures, "protocol": verdict.protocol, "kl_per_dimension": kl}
    (tracker.directory / "figures.json").write_text(json.dumps(plain, indent=2) + "\n")
    tracker.log_file(markdown)
    tracker.log_file(tracker.directory / "figures.json")
    tracker.set_tags({NOTE: f"{description}\n\n{text}"})


def print_summary(verdict: Verdict, tracker: Tracker, pictures: Path, model: LitAutoencoder, data: LitData) -> None:
    """What a user wants to know at the end, and what to type next."""
    rows = table(verdict.figures)
    width = max(len(name) for name, _, _ in rows)
    print(f"\n{type(model).__name__} on {data.spec.name}, test split ({data.split_sizes['test']:,} rows)")
    print(f"  {'':{width}}  {'model':>10}  {'PCA':>10}")
    for name, value, pca in rows:
        print(f"  {name:{width}}  {value:>10}  {pca:>10}")
    for name, text in verdict.protocol.items():
        print(f"  {name}: {text}")
    print(f"\nPictures    {pictures}")
    print(f"Model       runs:/{tracker.run_id}/model")
    print(f"Repeat      python -m pipelines.train --config runs:/{tracker.run_id}/config.yaml")
    print(f"Look        {ui_command()}")


def tell_alarms(alarms: list[str], tracker: Tracker) -> None:
    """What the training warns of: a line each, and all of them in the run's tag ``lit_ae.alarms``."""
    for alarm in alarms:
        print(f"Alarm       {alarm}")
    if alarms:
        tracker.set_tags({ALARMS_TAG: " ".join(alarms)})


def ui_command() -> str:
    """How the run is looked at: the server's address, or the command that opens the store."""
    uri = mlflow.get_tracking_uri()
    if uri == f"sqlite:///{ROOT / 'mlflow.db'}" and (ROOT / "Makefile").exists():
        return "make ui"
    return uri if uri.startswith("http") else f"mlflow ui --backend-store-uri {uri}"
