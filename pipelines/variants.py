"""Trains a recipe of every variant on MNIST with several seeds and writes one table of them, a row a recipe."""

import argparse
import statistics
import sys
from collections.abc import Sequence

from mlflow.entities import Run

from pipelines.command_line import one_line_errors
from pipelines.results import Runs, add_common_options, known, mean_and_spread, show

PLAIN = "autoencoder_mnist"
RECIPES = (
    PLAIN,
    "conv_mnist",
    "growing_autoencoder_mnist",
    "denoising_autoencoder_mnist",
    "contractive_autoencoder_mnist",
    "sparse_autoencoder_mnist",
    "sparse_autoencoder_l1_mnist",
    "vector_quantized_autoencoder_mnist",
    "masked_autoencoder_mnist",
    "contrastive_autoencoder_mnist",
    "ladder_autoencoder_mnist",
    "vae_mnist",
    "beta_tc_vae_mnist",
    "factor_vae_mnist",
    "wasserstein_autoencoder_mnist",
    "adversarial_autoencoder_mnist",
)
BY_ALL = {
    "mse": "MSE",
    "linear_probe": "linear probe",
    "knn": "k-NN",
    "label_efficiency_100": "100 labels",
    "label_efficiency_1000": "1,000 labels",
}
OWN = {
    "denoised/psnr": "PSNR denoised, dB",
    "corrupted/psnr": "PSNR of its input, dB",
    "first_quarter_mse": "MSE of the code's first quarter",
    "contraction": "|dh/dx|²",
    "l0": "L0",
    "dead_units": "dead units",
    "perplexity": "codes' perplexity",
    "code_usage": "codes used",
    "hidden_mse": "MSE of hidden patches",
    "contrastive": "NT-Xent, nats",
    "accuracy": "accuracy",
    "nll": "-log p(x), nats",
    "active_units": "active units",
    "total_correlation": "total correlation, nats",
    "mmd": "MMD² to the prior",
    "prior_coverage": "prior covered",
}
MARK = "variants"


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m pipelines.variants", description=__doc__)
    parser.add_argument("recipes", nargs="*", default=list(RECIPES), help="recipes by name; by default one a variant")
    add_common_options(parser, MARK)
    asked = parser.parse_args(argv)
    with one_line_errors():
        show(known(asked.recipes), asked, MARK, markdown)
    return 0


def markdown(runs: Runs) -> list[str]:
    """A row a recipe (mean and standard deviation over the seeds), and PCA in a row for each size of a code."""
    seeds = max(map(len, runs.values()))
    heads = ["variant", "network", "code", *BY_ALL.values(), f"its own ({seeds} seeds, mean ± sd)", "rows/s of plain"]
    lines = [_row(heads), _row(["---"] * len(heads))]
    plain = rows_per_second(runs[PLAIN]) if PLAIN in runs else None
    principal: dict[str, Sequence[Run]] = {}
    for recipe, of_seeds in runs.items():
        data = of_seeds[0].data
        size = data.params.get("model/latent_dim", "")
        principal.setdefault(size, of_seeds)
        names = [f"{data.tags.get('variant', '')} (`{recipe}`)", data.tags.get("network", ""), size]
        figures = [mean_and_spread(of_seeds, f"test/{key}", 3) for key in BY_ALL]
        rate = rows_per_second(of_seeds)
        relative = f"{rate / plain:.2f}" if rate and plain else ""
        lines.append(_row([*names, *figures, ", ".join(_own(of_seeds)), relative]))
    for size, of_seeds in principal.items():
        figures = [_pca(of_seeds, key) for key in BY_ALL]
        if any(figures):
            lines.append(_row(["PCA", "", size, *figures, "", ""]))
    return lines


def rows_per_second(runs: Sequence[Run]) -> float | None:
    """Training rows a second, validation included, by the clock: the median over the runs; None where one lacks it."""
    rates = []
    for run in runs:
        params, seconds = run.data.params, run.data.metrics.get("cost/fit_seconds")
        rows, epochs = (params.get(name) for name in ("data/rows/fit", "trainer/max_epochs"))
        if not (rows and epochs and seconds):
            return None
        rates.append(int(rows) * int(epochs) / seconds)
    return statistics.median(rates)


def _own(runs: Sequence[Run]) -> list[str]:
    """The figures that this variant has beside the common ones, with PCA's where it has one."""
    told = []
    for key, title in OWN.items():
        if ours := mean_and_spread(runs, f"test/{key}", 3):
            pca = _pca(runs, key)
            told.append(f"{title} {ours}" + (f" (PCA {pca})" if pca else ""))
    return told


def _pca(runs: Sequence[Run], key: str) -> str:
    value = runs[0].data.metrics.get(f"pca/{key}")
    return "" if value is None else f"{value:.3g}"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.exit(main())
