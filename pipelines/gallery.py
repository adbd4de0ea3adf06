"""Trains every variant on real digits in one sitting, and shows them side by side in one MLflow run."""

import argparse
import json
import sys
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

from pipelines.artifacts import download
from pipelines.command_line import one_line_errors
from pipelines.provenance import NOTE
from pipelines.results import known, train
from pipelines.tracking import Tracker

RECIPES = (
    "autoencoder_digits",
    "denoising_autoencoder_digits",
    "contractive_autoencoder_digits",
    "sparse_autoencoder_digits",
    "vector_quantized_autoencoder_digits",
    "masked_digits",
    "contrastive_autoencoder_digits",
    "ladder_autoencoder_digits",
    "vae_digits",
    "beta_tc_vae_digits",
    "factor_vae_digits",
    "wasserstein_autoencoder_digits",
    "adversarial_autoencoder_digits",
)
SHOWN_BY_ALL = ("mse", "psnr", "ssim", "linear_probe", "knn")
COLUMNS = (
    *("recipe", "variant", "MSE", "PCA, same size", "PSNR, dB", "SSIM", "linear probe", "k-NN"),
    *("parameters", "s", "its own"),
)
NOT_SHOWN = ("loss", "reconstruction")


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m pipelines.gallery", description=__doc__)
    parser.add_argument("recipes", nargs="*", default=list(RECIPES), help="recipes by name; by default one a variant")
    parser.add_argument("--seed", type=int, default=0, help="default 0")
    parser.add_argument("--experiment", default="gallery", help="MLflow experiment; what is finished in it is kept")
    parser.add_argument("--output_dir", type=Path, default=Path("outputs"), help="default outputs")
    asked = parser.parse_args(argv)
    with one_line_errors():
        runs = {recipe: train(recipe, asked.seed, asked.experiment) for recipe in known(asked.recipes)}
        show(runs, asked.experiment, asked.seed, asked.output_dir)
    return 0


def show(runs: dict[str, Run], experiment: str, seed: int, output_dir: Path) -> None:
    """One run above those of the variants: a table of their figures, and a picture of each."""
    tracker = Tracker.open(experiment, f"gallery seed {seed}", output_dir=output_dir)
    try:
        for recipe, run in runs.items():
            MlflowClient().set_tag(run.info.run_id, MLFLOW_PARENT_RUN_ID, tracker.run_id)
            picture = download(run.info.run_id, "pictures/reconstructions.png")
            tracker.log_file(picture.rename(picture.with_name(f"{recipe}.png")), "pictures")
        table = "\n".join(markdown(runs))
        page = tracker.directory / "gallery.md"
        page.write_text(f"{table}\n")
        figures = {recipe: run.data.metrics for recipe, run in runs.items()}
        (tracker.directory / "gallery.json").write_text(json.dumps(figures, indent=2) + "\n")
        tracker.log_file(page)
        tracker.log_file(tracker.directory / "gallery.json")
        tracker.set_tags({NOTE: table})
    except BaseException as error:
        tracker.finish("FAILED", str(error))
        raise
    tracker.finish("FINISHED")
    print(f"\n{table}\n\nGallery     run {tracker.run_id} of the experiment {experiment}")


def markdown(runs: dict[str, Run]) -> list[str]:
    """A row a recipe: figures that all have, PCA's beside the error, the variant's own, size and cost."""
    lines = [f"| {' | '.join(COLUMNS)} |", "| --- " * len(COLUMNS) + "|"]
    for recipe, run in runs.items():
        figures, tags = run.data.metrics, run.data.tags
        common = [_of(figures, f"test/{name}") for name in SHOWN_BY_ALL]
        own = [
            f"{name.removeprefix('test/')} {value:.3g}"
            for name, value in sorted(figures.items())
            if name.startswith("test/") and name.removeprefix("test/") not in (*SHOWN_BY_ALL, *NOT_SHOWN)
        ]
        size = f"{int(run.data.params.get('model/parameters', 0)):,}"
        cells = [common[0], _of(figures, "pca/mse"), *common[1:], size, _of(figures, "cost/fit_seconds")]
        lines.append(f"| {recipe} | {tags.get('variant', '')} | {' | '.join(cells)} | {', '.join(own)} |")
    return lines


def _of(figures: dict[str, float], name: str) -> str:
    return f"{figures[name]:.3g}" if name in figures else ""


if __name__ == "__main__":
    sys.exit(main())
