"""Trials a minute of one worker and of several on the same cores: ``python -m benchmarks.tuning``."""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from pipelines.command_line import ROOT, one_line_errors
from pipelines.tuning.crew import THREADS

NAME = "benchmark"


def main(argv: Sequence[str] | None = None) -> int:
    """Measures and prints the table."""
    asked = parser().parse_args(argv)
    with one_line_errors(), tempfile.TemporaryDirectory() as folder:
        rates: dict[int, list[float]] = {workers: [] for workers in (1, asked.workers)}
        for turn in range(asked.repetitions):
            for workers, measured in rates.items():
                place = Path(folder) / f"{workers}_{turn}"
                place.mkdir()
                measured.append(rate(place, workers, asked.trials, asked.recipe, asked.epochs, asked.threads))
                print(f"turn {turn + 1}: {workers} worker(s), {measured[-1]:.2f} trials/min", flush=True)
        print_table(rates, asked.workers)
    return 0


def parser() -> argparse.ArgumentParser:
    """What can be asked for."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.tuning",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        description="Trials a minute of a whole study (MLflow runs, checkpoints, journal file) with one worker and "
        "with several on the same cores, from the first trial's start to the last one's end: what a worker imports "
        "before its first trial is not counted. They take turns, so that other load hits all alike.",
    )
    add = parser.add_argument
    add("--workers", type=int, default=2, help="workers beside the one")
    add("--trials", type=int, default=12, help="trials of each study")
    add("--repetitions", type=int, default=3, help="turns of each")
    add("--recipe", default="vae_digits", help="what a trial trains")
    add("--threads", type=int, help="of every worker; by default an even share of the cores, all for a single one")
    add("--epochs", type=int, default=10, help="of a trial")
    return parser


def rate(place: Path, workers: int, trials: int, recipe: str, epochs: int, threads: int | None) -> float:
    """Trials a minute of one study in an empty folder. Every study has the same trials."""
    study = {
        "recipe": recipe,
        "training": {"trainer": {"max_epochs": epochs}, "model": {"beta": 1.0}},
        "space": {"model.latent_dim": {"int": [2, 32]}},
        "sampler": "random",
        "trials": trials,
        "final_seeds": 0,
    }
    (place / f"{NAME}.yaml").write_text(json.dumps(study))
    kept = {name: value for name, value in os.environ.items() if name not in THREADS}
    if threads:
        kept |= {THREADS[0]: str(threads)}
    environment = {**kept, "PYTHONPATH": str(ROOT), "MLFLOW_TRACKING_URI": f"sqlite:///{place}/mlflow.db"}
    words = ["--study", f"{NAME}.yaml", "--workers", str(workers)]
    command = [sys.executable, "-m", "pipelines.tune", *words]
    subprocess.run(command, cwd=place, env=environment, check=True, stdout=subprocess.DEVNULL)
    return trials_a_minute(place / "outputs" / "studies.journal")


def trials_a_minute(journal: Path) -> float:
    """Of the study in a journal file, from its first trial's start to its last one's end."""
    from pipelines.tuning.storage import find_study, open_storage

    study = find_study(NAME, open_storage(str(journal)))
    assert study is not None
    trials = study.get_trials()
    begins = [trial.datetime_start for trial in trials if trial.datetime_start]
    ends = [trial.datetime_complete for trial in trials if trial.datetime_complete]
    return 60 * len(ends) / (max(ends) - min(begins)).total_seconds()


def print_table(rates: dict[int, list[float]], workers: int) -> None:
    """Medians and ranges, and the ratio of each turn's pair."""
    print("\n| workers | trials/min | lowest-highest |\n| ---: | ---: | ---: |")
    for count, measured in rates.items():
        print(f"| {count} | {median(measured):.2f} | {min(measured):.2f}-{max(measured):.2f} |")
    ratios = [several / one for one, several in zip(rates[1], rates[workers], strict=True)]
    print(f"\n{workers} workers: {median(ratios):.2f} times one worker's (median of {len(ratios)} turns)")


if __name__ == "__main__":
    sys.exit(main())
