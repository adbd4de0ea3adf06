"""Trains recipes with several seeds and writes the table of their test figures."""

import argparse
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import mlflow
from mlflow.entities import Run

from lit_ae.errors import UserError
from pipelines.arguments import OneLineParser
from pipelines.command_line import RECIPES, ROOT, one_line_errors

FIGURES = {
    "test/mse": "MSE",
    "test/psnr": "PSNR, dB",
    "test/ssim": "SSIM",
    "test/fid": "FID of samples",
    "test/precision": "precision of samples",
    "test/recall": "recall of samples",
    "test/bits_per_pixel": "bits a pixel of the code",
    "test/jpeg_bits_per_pixel": "bits a pixel of JPEG, no less PSNR",
    "test/elbo": "ELBO, nats, z drawn",
    "test/elbo_at_mean": "ELBO, nats, z = mean",
    "test/reconstruction": "reconstruction, nats",
    "test/kl": "KL, nats",
    "test/nll": "-log p(x), nats",
    "test/active_units": "active units",
    "test/aggregate_mi": "I(x; z), nats",
    "test/l0": "units that are on in a sample",
    "test/dead_units": "share of dead units",
    "test/linear_probe": "linear probe",
    "test/knn": "k-NN",
    "test/mig": "MIG",
    "test/sap": "SAP",
    "test/dci_disentanglement": "DCI disentanglement",
    "test/dci_completeness": "DCI completeness",
    "test/dci_informativeness": "DCI informativeness",
    **{
        f"test/labels_{count}/{way}": f"{count} labels, {title}"
        for count in (100, 1000, "all")
        for way, title in {"frozen": "frozen encoder", "scratch": "from scratch", "input": "on x itself"}.items()
    },
}
TO_BEAT = {
    ("conv_mnist", "test/mse"): "0.00450 (same network, the article's own loop)",
    ("conv_mnist_same_cost", "test/mse"): "0.00450 (the article's own loop, same cost)",
    ("vae_mnist", "test/elbo_at_mean"): "-96.2 (same network, the article's own loop)",
    ("vae_binary_mnist_100_epochs", "test/nll"): "92 (a gate on the way to 87.78)",
    ("vae_binary_mnist", "test/nll"): "87.78 (VAE, 5,000 epochs; xqding)",
    ("iwae_binary_mnist", "test/nll"): "84.59 (IWAE k=50, 5,000 epochs; xqding)",
    ("sparse_autoencoder_network_traffic", "test/dead_units"): "0.07 (AuxK, 16 M units; Gao et al. 2024)",
}
EXACT = 1e-9  # mean squared error of a PCA with as many components as x has features: it says nothing
MARK = "results"

Runs = Mapping[str, Sequence[Run]]
"""The runs of each recipe, one a seed."""
TableOf = Callable[[Runs], list[str]]


def main(argv: list[str] | None = None) -> int:
    parser = OneLineParser(prog="python -m pipelines.results", description=__doc__)
    parser.add_argument("recipes", nargs="+", help="recipes by name")
    parser.add_argument("--validation", action="store_true", help="also show the figures of the validation rows")
    parser.add_argument("--mark", default=MARK, help=f"name of the table where it is written, default {MARK}")
    add_common_options(parser, MARK)
    with one_line_errors():
        asked = parser.parse_args(argv)
        show(known(asked.recipes), asked, asked.mark, partial(markdown, validation=asked.validation))
    return 0


def add_common_options(parser: argparse.ArgumentParser, mark: str) -> None:
    """Seeds, experiment (by default of the mark's name), and the file that the table is written into."""
    begin, end = marks(mark)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], help="default 0 1 2")
    parser.add_argument("--experiment", default=mark, help="MLflow experiment; finished runs in it are not repeated")
    parser.add_argument("--write", type=Path, help=f"put the table between {begin} and {end} of this file")


def show(
    recipes: Sequence[str], asked: argparse.Namespace, mark: str, table_of: TableOf, options: Sequence[str] = ()
) -> None:
    """Trains what is not trained yet, prints the table of all runs, and writes it where that is asked for."""
    if asked.write:
        require_marks(asked.write, mark)
    runs = {recipe: [train(recipe, seed, asked.experiment, options) for seed in asked.seeds] for recipe in recipes}
    table = "\n".join(table_of(runs))
    print(table)
    if asked.write:
        write(asked.write, mark, table)


def train(recipe: str, seed: int, experiment: str, options: Sequence[str] = (), name: str | None = None) -> Run:
    """The finished run of a recipe and a seed, trained now, with these options, where there is none of that name.

    Raises:
        UserError: it did not finish.
    """
    name = name or f"{recipe} seed {seed}"
    found = finished(name, experiment)
    if found is None:
        command = [sys.executable, "-m", "pipelines.train", "--recipe", recipe, "--seed_everything", str(seed)]
        command += ["--tracking.experiment", experiment, "--tracking.run_name", name, *options]
        print(f"\n== {name}", flush=True)
        if subprocess.run(command, cwd=ROOT).returncode:
            raise UserError(f"{name} did not finish: see what it printed above.")
        found = finished(name, experiment)
    if found is None:
        raise UserError(f"{name} left no finished run in the experiment {experiment}: is MLFLOW_TRACKING_URI set?")
    return found


def finished(name: str, experiment: str) -> Run | None:
    """The latest finished run of that name."""
    query = f"attributes.run_name = '{name}' and attributes.status = 'FINISHED'"
    if mlflow.get_experiment_by_name(experiment) is None:
        return None
    runs = mlflow.search_runs(experiment_names=[experiment], filter_string=query, output_format="list")
    return runs[0] if runs else None


def known(recipes: list[str]) -> list[str]:
    """The recipes themselves.

    Raises:
        UserError: one has no file.
    """
    for recipe in recipes:
        if not (RECIPES / f"{recipe}.yaml").is_file():
            raise UserError(f"Unknown recipe '{recipe}': see python -m pipelines.train --help.")
    return recipes


def markdown(runs: Runs, validation: bool = False) -> list[str]:
    """Rows of recipe, figure, mean and standard deviation over the seeds, PCA beside it, and what is to be beaten.

    Args:
        runs: of every recipe.
        validation: whether each recipe's figures of the validation rows stand below those of the test rows.
    """
    seeds = max(map(len, runs.values()))
    lines = [f"| recipe | test figure | {seeds} seeds, mean ± sd | PCA, same size | to beat |"]
    lines.append("| --- | --- | --- | --- | --- |")
    for recipe, of_seeds in runs.items():
        for key, title in FIGURES.items():
            if ours := mean_and_spread(of_seeds, key):
                lines.append(
                    f"| {recipe} | {title} | {ours} | {pca(of_seeds, key)} | {TO_BEAT.get((recipe, key), '')} |"
                )
        for key, title in FIGURES.items() if validation else ():
            if ours := mean_and_spread(of_seeds, key.replace("test/", "val/")):
                lines.append(f"| {recipe} | {title}, on validation rows | {ours} |  |  |")
    return lines


def pca(runs: Sequence[Run], key: str, digits: int = 4) -> str:
    """PCA's figure; empty where it has none, or as many components as x has features."""
    figures = runs[0].data.metrics
    value = figures.get(key.replace("test/", "pca/"))
    return "" if value is None or figures.get("pca/mse", 1.0) < EXACT else f"{value:.{digits}g}"


def mean_and_spread(runs: Sequence[Run], key: str, digits: int = 4) -> str:
    """A figure's mean and standard deviation over the runs, if they differ at all; empty where a run lacks it."""
    values = [run.data.metrics[key] for run in runs if key in run.data.metrics]
    if not values or len(values) < len(runs):
        return ""
    mean = f"{statistics.mean(values):.{digits}g}"
    return f"{mean} ± {statistics.stdev(values):.2g}" if len(set(values)) > 1 else mean


def marks(mark: str) -> tuple[str, str]:
    """The lines of a file between which a command writes."""
    return f"<!-- {mark}: begin -->", f"<!-- {mark}: end -->"


def require_marks(path: Path, mark: str) -> None:
    """Asks for the two lines before anything long begins.

    Raises:
        UserError: there is no such file, or it lacks one of them.
    """
    begin, end = marks(mark)
    text = path.read_text() if path.is_file() else ""
    if end not in text.partition(begin)[2]:
        raise UserError(f"{path} has no line {begin}, or no {end} below it: add them.")


def write(path: Path, mark: str, content: str) -> None:
    """Replaces what stands between the two marks."""
    begin, end = marks(mark)
    before, _, rest = path.read_text().partition(begin)
    path.write_text(f"{before}{begin}\n{content}\n{end}{rest.partition(end)[2]}")


if __name__ == "__main__":
    sys.exit(main())
