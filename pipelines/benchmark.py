"""Trains the detection benchmarks with several seeds and writes one table of them, with what they are held against."""

import argparse
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mlflow.entities import Run

from lit_ae.errors import UserError
from pipelines.arguments import OneLineParser
from pipelines.command_line import ROOT, one_line_errors
from pipelines.results import finished, known, marks, require_marks, train, write

MARK = "benchmark"
COLUMNS = {
    "base_rate": "base rate",
    "auroc": "AUROC",
    "ap": "AP",
    "recall_at_false_alarms_0.01": "recall at 1 %",
    "recall_at_false_alarms_0.136": "recall at 13.6 % (1 - miss rate)",
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "false_alarm_rate": "realised false alarms",
    "hit_rate": "HitRate",
}
BESIDE = {
    "neyman_pearson": "the generator's best possible score",
    "always_alarm": "always alarm",
    "random": "random score",
    "time_index": "row number",
    "untrained": "the network untrained",
    "pca": "PCA residual",
    "mahalanobis": "Mahalanobis",
    "knn": "k-NN",
    "isolation_forest": "isolation forest",
}
WITHOUT_SLOW_PICTURES = ("--evaluation.tsne_rows", "0")
SKAB = [f"valve1/{n}" for n in range(16)] + [f"valve2/{n}" for n in range(4)] + [f"other/{n}" for n in range(1, 15)]
SKAB.remove("other/2")  # whose 105th row is an anomaly already: too little to train on


@dataclass(frozen=True)
class Benchmark:
    """What is trained and tested.

    Attributes:
        title: in the table.
        recipe: by name.
        goal: what is to be reached.
        variations: options of trainings of their own, over whose figures the mean is taken.
        judged_on: options of an evaluation: the models of the benchmark ``models_of`` are judged on other data.
        models_of: that benchmark's name.
    """

    title: str
    recipe: str
    goal: str
    variations: tuple[tuple[str, ...], ...] = ((),)
    judged_on: tuple[str, ...] = ()
    models_of: str = ""


BENCHMARKS = {
    "sensors": Benchmark(
        "synthetic sensors", "detection_sensors", "AUROC ≥ 0.9995, P ≥ 0.97, R ≥ 0.99, HitRate ≥ 0.90"
    ),
    "sensors_hard": Benchmark(
        "synthetic sensors, spikes of 0.5 to 2",
        "detection_sensors",
        "the best possible score",
        (("--data.spikes", "[0.5, 2.0]"),),
    ),
    "nsl_kdd": Benchmark(
        "NSL-KDD, KDDTest+", "detection_network_traffic", "AUROC ≥ 0.977, AP ≥ 0.978, F1 ≥ 0.907, recall at 1 % ≥ 0.60"
    ),
    "nsl_kdd_21": Benchmark(
        "NSL-KDD, KDDTest-21",
        "detection_network_traffic",
        "AUROC ≥ 0.885",
        judged_on=("--data", "NetworkTraffic", "--data.source", "KDDTest-21"),
        models_of="nsl_kdd",
    ),
    "skab": Benchmark(
        "SKAB, mean over 33 files",
        "detection_skab",
        "AUROC ≥ 0.88, AP ≥ 0.90, recall at 13.6 % ≥ 0.72 (28 % missed)",
        tuple(("--data.file", file) for file in SKAB),
    ),
    "mnist": Benchmark(
        "MNIST, one digit against the rest, mean over 10",
        "detection_mnist",
        "AUROC ≥ 0.972, worst digit ≥ 0.91",
        tuple(("--data.normal", f"[{digit}]") for digit in range(10)),
    ),
}


def main(argv: list[str] | None = None) -> int:
    """Trains what is not trained yet, prints the table, and writes it where that is asked for."""
    with one_line_errors():
        asked = parser().parse_args(argv)
        known([BENCHMARKS[name].recipe for name in chosen(asked.benchmarks)])
        if asked.write:
            require_marks(asked.write, MARK)
        runs = {name: [of_seed(name, seed, asked.experiment) for seed in asked.seeds] for name in asked.benchmarks}
        table = "\n".join(markdown(runs))
        print(f"\n{table}")
        if asked.write:
            write(asked.write, MARK, table)
    return 0


def parser() -> argparse.ArgumentParser:
    """What can be asked for."""
    begin, end = marks(MARK)
    parser = OneLineParser(
        prog="python -m pipelines.benchmark",
        description=f"{__doc__} What is finished in the experiment is not repeated, so that the same command goes on "
        "where it was stopped. NSL-KDD, SKAB and MNIST are read under LIT_AE_DATA.",
    )
    names = ", ".join(BENCHMARKS)
    parser.add_argument("benchmarks", nargs="*", default=list(BENCHMARKS), help=f"some of {names}; by default all")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4], help="default 0 1 2 3 4")
    parser.add_argument("--experiment", default=MARK, help=f"MLflow experiment (default {MARK})")
    parser.add_argument("--write", type=Path, help=f"put the table between {begin} and {end} of this file")
    return parser


def chosen(names: Sequence[str]) -> Sequence[str]:
    """The names themselves.

    Raises:
        UserError: there is no such benchmark.
    """
    for name in names:
        if name not in BENCHMARKS:
            raise UserError(f"There is no benchmark '{name}': choose some of {', '.join(BENCHMARKS)}.")
    return names


def of_seed(name: str, seed: int, experiment: str) -> list[Run]:
    """The finished runs of a benchmark and a seed, one a variation, made now where they are missing.

    Raises:
        UserError: one did not finish.
    """
    one = BENCHMARKS[name]
    if one.models_of:
        models = of_seed(one.models_of, seed, experiment)
        return [judged(model, f"{name} seed {seed}", one, experiment) for model in models]
    runs = []
    for options in one.variations:
        title = " ".join([name, *options[1:], "seed", str(seed)])
        runs.append(train(one.recipe, seed, experiment, [*options, *WITHOUT_SLOW_PICTURES], title))
    return runs


def judged(model: Run, title: str, one: Benchmark, experiment: str) -> Run:
    """The finished evaluation of a run's model."""
    found = finished(title, experiment)
    if found is None:
        words = [model.info.run_id, *one.judged_on]
        words += ["--tracking.experiment", experiment, "--tracking.run_name", title]
        print(f"\n== {title}", flush=True)
        if subprocess.run([sys.executable, "-m", "pipelines.evaluate", *words], cwd=ROOT).returncode:
            raise UserError(f"{title} did not finish: see what it printed above.")
        found = finished(title, experiment)
    if found is None:
        raise UserError(f"{title} left no finished run in the experiment {experiment}: is MLFLOW_TRACKING_URI set?")
    return found


def markdown(runs: Mapping[str, Sequence[Sequence[Run]]]) -> list[str]:
    """Of each benchmark a row for the model, mean ± sd over the seeds, and one for each detector beside it.

    Of several variations the one with the lowest AUROC has a row of its own.
    """
    seeds = max((len(of_seeds) for of_seeds in runs.values()), default=0)
    shown = [key for key in COLUMNS if any(figure(of_seeds, f"test/{key}") for of_seeds in runs.values())]
    titles = " | ".join(COLUMNS[key] for key in shown)
    lines = [f"| benchmark | detector ({seeds} seeds) | {titles} | goal |", "| --- " * (len(shown) + 3) + "|"]
    for name, of_seeds in runs.items():
        one = BENCHMARKS[name]
        lines.append(f"| **{one.title}** | **lit-ae** | {cells(of_seeds, 'test', shown)} | {one.goal} |")
        if len(one.variations) > 1:
            alone = worst(of_seeds)
            said = f"lit-ae, {one.variations[alone][-1]} alone, its worst"
            lines.append(
                f"| | {said} | {cells([of_seed[alone : alone + 1] for of_seed in of_seeds], 'test', shown)} | |"
            )
        for detector, title in BESIDE.items():
            if figure(of_seeds, f"baseline_{detector}/auroc"):
                lines.append(f"| | {title} | {cells(of_seeds, f'baseline_{detector}', shown)} | |")
    return lines


def worst(of_seeds: Sequence[Sequence[Run]]) -> int:
    """The place of the variation whose AUROC is lowest, by its mean over the seeds."""
    means = [statistics.fmean(run.data.metrics["test/auroc"] for run in runs) for runs in zip(*of_seeds, strict=True)]
    return means.index(min(means))


def cells(of_seeds: Sequence[Sequence[Run]], group: str, shown: Sequence[str]) -> str:
    return " | ".join(figure(of_seeds, f"{group}/{key}") for key in shown)


def figure(of_seeds: Sequence[Sequence[Run]], key: str) -> str:
    """A figure's mean over variations, and over the seeds its mean ± sd; empty where a run lacks it."""
    values = [[run.data.metrics.get(key) for run in of_seed] for of_seed in of_seeds]
    if not values or any(value is None for of_seed in values for value in of_seed):
        return ""
    means = [statistics.fmean(value for value in of_seed if value is not None) for of_seed in values]
    spread = statistics.stdev(means) if len(means) > 1 else 0.0
    mean = f"{statistics.fmean(means):.4f}"
    return f"{mean} ± {spread:.4f}" if spread >= 0.00005 else mean


if __name__ == "__main__":
    sys.exit(main())
