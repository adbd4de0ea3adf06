"""Trains a recipe of every variant on MNIST with several seeds and writes one table of them, a row a recipe."""

import sys
from collections.abc import Sequence

from mlflow.entities import Run

from pipelines.arguments import OneLineParser
from pipelines.command_line import one_line_errors
from pipelines.results import Runs, add_common_options, known, mean_and_spread, pca, show

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
BY_ALL = {"mse": "MSE", "linear_probe": "linear probe", "knn": "k-NN"}
BY_LABELS = {"labels_100": "100 labels (from scratch)", "labels_1000": "1,000 labels (from scratch)"}
OPTIONS = ("--evaluation.label_efficiency", "[100,1000]", "--evaluation.label_draws", "1")  # the same rows for all
OWN = {
    "denoised/psnr": "PSNR denoised, dB",
    "corrupted/psnr": "PSNR of its input, dB",
    "first_quarter_mse": "MSE of the code's first quarter",
    "contraction": "squared norm of dh/dx",
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
    parser = OneLineParser(prog="python -m pipelines.variants", description=__doc__)
    parser.add_argument("recipes", nargs="*", default=list(RECIPES), help="recipes by name; by default one a variant")
    add_common_options(parser, MARK)
    with one_line_errors():
        asked = parser.parse_args(argv)
        show(known(asked.recipes), asked, MARK, markdown, OPTIONS)
    return 0


def markdown(runs: Runs) -> list[str]:
    """A row a recipe (mean and standard deviation over the seeds), a row for PCA of each size, and one for x itself."""
    seeds = max(map(len, runs.values()))
    own = f"its own ({seeds} seeds, mean ± sd)" if seeds > 1 else "its own (1 seed)"
    heads = ["variant", "network", "code", *BY_ALL.values(), *BY_LABELS.values(), own]
    lines = [_row(heads), _row(["---"] * len(heads))]
    principal: dict[str, Sequence[Run]] = {}
    for recipe, of_seeds in runs.items():
        data = of_seeds[0].data
        size = data.params.get("model/latent_dim", "")
        principal.setdefault(size, of_seeds)
        names = [f"{data.tags.get('variant', '')} (`{recipe}`)", data.tags.get("network", ""), size]
        figures = [mean_and_spread(of_seeds, f"test/{key}", 3) for key in BY_ALL]
        figures += [_with_labels(of_seeds, key) for key in BY_LABELS]
        lines.append(_row([*names, *figures, ", ".join(_own(of_seeds))]))
    for size, of_seeds in principal.items():
        figures = [pca(of_seeds, f"test/{key}", 3) for key in BY_ALL]
        if any(figures):
            lines.append(_row(["PCA", "", size, *figures, *[""] * (len(BY_LABELS) + 1)]))
    of_x = [mean_and_spread(next(iter(runs.values())), f"test/{key}/input", 3) for key in BY_LABELS]
    return [*lines, _row(["x itself", *[""] * (2 + len(BY_ALL)), *of_x, ""])] if any(of_x) else lines


def _with_labels(runs: Sequence[Run], key: str) -> str:
    """The accuracy on the frozen code, and that of the same network from scratch."""
    frozen, scratch = (mean_and_spread(runs, f"test/{key}/{way}", 3) for way in ("frozen", "scratch"))
    return f"{frozen} ({scratch})" if frozen and scratch else frozen


def _own(runs: Sequence[Run]) -> list[str]:
    """The figures that this variant has beside the common ones, with PCA's where it has one."""
    told = []
    for key, title in OWN.items():
        if ours := mean_and_spread(runs, f"test/{key}", 3):
            beside = pca(runs, f"test/{key}", 3)
            told.append(f"{title} {ours}" + (f" (PCA {beside})" if beside else ""))
    return told


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.exit(main())
