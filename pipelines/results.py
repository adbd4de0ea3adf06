"""Trains recipes with several seeds and writes the table of their test figures."""

import argparse
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import mlflow
from mlflow.entities import Run

from lit_ae.errors import UserError
from pipelines.command_line import RECIPES, ROOT, one_line_errors

FIGURES = {
    "test/mse": "MSE per pixel",
    "test/psnr": "PSNR, dB",
    "test/ssim": "SSIM",
    "test/elbo": "ELBO, nats, z drawn",
    "test/elbo_at_mean": "ELBO, nats, z = mean",
    "test/reconstruction": "reconstruction, nats",
    "test/kl": "KL, nats",
    "test/nll": "-log p(x), nats",
    "test/active_units": "active units",
    "test/linear_probe": "linear probe",
}
TO_BEAT = {
    ("conv_mnist", "test/mse"): "0.00450 (same network, the article's own loop)",
    ("conv_mnist_same_cost", "test/mse"): "0.00450 (the article's own loop, same cost)",
    ("vae_mnist", "test/elbo_at_mean"): "-96.2 (same network, the article's own loop)",
    ("vae_binary_mnist_100_epochs", "test/nll"): "92 (a gate on the way to 87.78)",
    ("vae_binary_mnist", "test/nll"): "87.78 (VAE, 5,000 epochs; xqding)",
    ("iwae_binary_mnist", "test/nll"): "84.59 (IWAE k=50, 5,000 epochs; xqding)",
}
BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m pipelines.results", description=__doc__)
    parser.add_argument("recipes", nargs="+", help="recipes by name")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], help="default 0 1 2")
    parser.add_argument(
        "--experiment", default="results", help="MLflow experiment; finished runs in it are not repeated"
    )
    parser.add_argument("--write", type=Path, help=f"put the table between {BEGIN} and {END} of this file")
    asked = parser.parse_args(argv)
    with one_line_errors():
        if asked.write and BEGIN not in asked.write.read_text():
            raise UserError(f"{asked.write} has no line {BEGIN}: add it, and {END} below it.")
        figures = {
            recipe: [train(recipe, seed, asked.experiment).data.metrics for seed in asked.seeds]
            for recipe in known(asked.recipes)
        }
        table = "\n".join(markdown(figures, asked.seeds))
        print(table)
        if asked.write:
            write(asked.write, table)
    return 0


def train(recipe: str, seed: int, experiment: str) -> Run:
    """The finished run of a recipe and a seed, trained now where there is none.

    Raises:
        UserError: it did not finish.
    """
    name = f"{recipe} seed {seed}"
    found = finished(name, experiment)
    if found is None:
        command = [sys.executable, "-m", "pipelines.train", "--recipe", recipe, "--seed_everything", str(seed)]
        options = ["--tracking.experiment", experiment, "--tracking.run_name", name]
        print(f"\n== {name}", flush=True)
        if subprocess.run([*command, *options], cwd=ROOT).returncode:
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


def markdown(runs: dict[str, list[dict[str, Any]]], seeds: list[int]) -> list[str]:
    """Rows of recipe, figure, mean and standard deviation over the seeds, PCA beside it, and what is to be beaten."""
    lines = [f"| recipe | test figure | {len(seeds)} seeds, mean ± sd | PCA, same size | to beat |"]
    lines.append("| --- | --- | --- | --- | --- |")
    for recipe, metrics in runs.items():
        for key, title in FIGURES.items():
            values = [one[key] for one in metrics if key in one]
            if len(values) < len(metrics):
                continue
            spread = statistics.stdev(values) if len(values) > 1 else 0.0
            pca = metrics[0].get(key.replace("test/", "pca/"))
            beside = "" if pca is None else f"{pca:.4g}"
            ours = f"{statistics.mean(values):.4g} ± {spread:.2g}"
            lines.append(f"| {recipe} | {title} | {ours} | {beside} | {TO_BEAT.get((recipe, key), '')} |")
    return lines


def write(path: Path, table: str) -> None:
    """Replaces what stands between the two marks."""
    before, _, rest = path.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    path.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}")


if __name__ == "__main__":
    sys.exit(main())
