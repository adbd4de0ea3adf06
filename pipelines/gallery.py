"""Trains every variant on real digits in one sitting, and shows them side by side in one MLflow run."""

import json
import sys
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID
from PIL import Image
from PIL.Image import Resampling

from pipelines.arguments import OneLineParser
from pipelines.artifacts import download
from pipelines.command_line import one_line_errors
from pipelines.provenance import NOTE
from pipelines.results import known, marks, require_marks, train, write
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
TITLES = (
    *("recipe", "variant", "MSE", "PCA, same size", "PSNR, dB", "SSIM", "linear probe", "k-NN"),
    *("parameters", "s", "its own"),
)
NOT_SHOWN = ("loss", "reconstruction")
MARK, PICTURE = "gallery", "docs/gallery.png"
COLUMNS, WIDTH, COLOURS = 2, 1600, 128  # of the sheet of all pictures: side by side, in pixels, and in its palette


def main(argv: list[str] | None = None) -> int:
    parser = OneLineParser(prog="python -m pipelines.gallery", description=__doc__)
    parser.add_argument("recipes", nargs="*", default=list(RECIPES), help="recipes by name; by default one a variant")
    parser.add_argument("--seed", type=int, default=0, help="default 0")
    parser.add_argument("--experiment", default="gallery", help="MLflow experiment; what is finished in it is kept")
    parser.add_argument("--output_dir", type=Path, default=Path("outputs"), help="default outputs")
    begin, end = marks(MARK)
    shown = f"put table and pictures between {begin} and {end} of this file, the pictures as {PICTURE} beside it"
    parser.add_argument("--write", type=Path, help=shown)
    with one_line_errors():
        asked = parser.parse_args(argv)
        if asked.write:
            require_marks(asked.write, MARK)
        runs = {recipe: train(recipe, asked.seed, asked.experiment) for recipe in known(asked.recipes)}
        sheet = show(runs, asked.experiment, asked.seed, asked.output_dir)
        if asked.write:
            publish(runs, sheet, asked.write)
    return 0


def publish(runs: dict[str, Run], sheet: Path, page: Path) -> None:
    """Puts the table and the sheet of all pictures into a page."""
    picture = page.parent / PICTURE
    picture.parent.mkdir(parents=True, exist_ok=True)
    picture.write_bytes(sheet.read_bytes())
    text = "Inputs of the test split, their reconstructions and the difference, a variant a picture"
    write(page, MARK, "\n".join([*markdown(runs), "", f"![{text}]({PICTURE})"]))


def show(runs: dict[str, Run], experiment: str, seed: int, output_dir: Path) -> Path:
    """One run above those of the variants: a table of their figures, a picture of each, and a sheet of all pictures."""
    tracker = Tracker.open(experiment, f"gallery seed {seed}", output_dir=output_dir)
    try:
        pictures = []
        for recipe, run in runs.items():
            MlflowClient().set_tag(run.info.run_id, MLFLOW_PARENT_RUN_ID, tracker.run_id)
            picture = download(run.info.run_id, "pictures/reconstructions.png")
            pictures.append(picture.rename(picture.with_name(f"{recipe}.png")))
            tracker.log_file(pictures[-1], "pictures")
        sheet = contact_sheet(pictures, tracker.directory / "gallery.png")
        tracker.log_file(sheet)
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
    return sheet


def contact_sheet(pictures: list[Path], path: Path) -> Path:
    """All pictures on one small PNG, row by row, each as wide as its column."""
    width = WIDTH // COLUMNS
    small = []
    for picture in pictures:
        with Image.open(picture) as whole:
            small.append(
                whole.convert("RGB").resize((width, round(width * whole.height / whole.width)), Resampling.LANCZOS)
            )
    rows = [small[start : start + COLUMNS] for start in range(0, len(small), COLUMNS)]
    heights = [max(one.height for one in row) for row in rows]
    sheet = Image.new("RGB", (WIDTH, sum(heights)), "white")
    for i, row in enumerate(rows):
        for column, one in enumerate(row):
            sheet.paste(one, (column * width, sum(heights[:i])))
    sheet.quantize(COLOURS).save(path, optimize=True)
    return path


def markdown(runs: dict[str, Run]) -> list[str]:
    """A row a recipe: figures that all have, PCA's beside the error, the variant's own, size and cost."""
    lines = [f"| {' | '.join(TITLES)} |", "| --- " * len(TITLES) + "|"]
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
