"""Training rows a second of every variant, beside the plain autoencoder's on the same network and pythae's model of the
same kind: ``python -m benchmarks.variants --pythae PYTHON``.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.train_speed import at_least, cpu_ratio_of, prepare, ratio_of
from lit_ae.errors import UserError
from pipelines.command_line import one_line_errors
from pipelines.results import marks, require_marks, write

if TYPE_CHECKING:
    from benchmarks.contenders import Rate

HIDDEN, ADVERSARY, LATENT_DIM = "[512,256]", "[128,128]", 32
NETWORKS = {
    "MLP": f"--model.network MLP --model.network.hidden {HIDDEN}",
    "Transformer": "--model.network Transformer --model.network.patch 7",
}
LIKELIHOOD = "--model.likelihood Gaussian --model.likelihood.bounded true"
PYTHAE = "pythae's "
MARK = "rates"
SCRIPT = Path(__file__).with_name("pythae_rates.py")


class Case(NamedTuple):
    """A variant to be timed.

    Attributes:
        options: its own, beside network and likelihood.
        network: a name in :data:`NETWORKS`.
        pythae: the model of the same kind, or none.
    """

    options: str = ""
    network: str = "MLP"
    pythae: str = ""


CASES = {
    "Autoencoder": Case(pythae="AE"),
    "Autoencoder, Transformer": Case(network="Transformer"),
    "DenoisingAutoencoder": Case(),
    "ContractiveAutoencoder": Case(),
    "SparseAutoencoder": Case("--model.sparsity TopK --model.sparsity.k 8"),
    "VectorQuantizedAutoencoder": Case("--model.codes 64 --model.groups 4", pythae="VQVAE"),
    "MaskedAutoencoder": Case("--model.mask_ratio 0.75", network="Transformer"),
    "ContrastiveAutoencoder": Case(),
    "LadderAutoencoder": Case(),
    "VAE": Case(pythae="VAE"),
    "VAE, 5 draws": Case("--model.importance_samples 5", pythae="IWAE"),
    "BetaTCVAE": Case(pythae="BetaTCVAE"),
    "FactorVAE": Case(f"--model.discriminator_hidden {ADVERSARY}", pythae="FactorVAE"),
    "WassersteinAutoencoder": Case(pythae="WAE_MMD"),
    "AdversarialAutoencoder": Case(f"--model.discriminator_hidden {ADVERSARY}", pythae="Adversarial_AE"),
}

Measured = dict[str, list["Rate"]]


def main(argv: Sequence[str] | None = None) -> int:
    """Measures and prints the table."""
    asked = parser().parse_args(argv)
    if asked.threads:
        os.environ["OMP_NUM_THREADS"] = str(asked.threads)  # before torch is imported; pythae's process inherits it
    with one_line_errors(), tempfile.TemporaryDirectory() as folder:
        os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{folder}/mlflow.db"
        if asked.write:
            require_marks(asked.write, MARK)
        if asked.pythae:
            require_pythae(asked.pythae)
        prepare()
        rates = "\n".join(table(measure(asked, Path(folder))))
        print(rates)
        if asked.write:
            write(asked.write, MARK, rates)
    if not asked.pythae:
        print("\npythae is left out: install it in an environment of its own, and name its python by --pythae.")
    return 0


def parser() -> argparse.ArgumentParser:
    """What can be asked for."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.variants",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        description="Training rows a second on MNIST of every variant, as users train it but for the tracking, and of "
        "pythae's models by pythae's own trainer: the same layers, batch size and Adam at 0.001. They take turns; the "
        "first steps, validation and evaluation are not counted. Counted are the rows whose ELBO or error is trained: "
        "pythae's FactorVAE takes as many again for its discriminator alone, where ours uses the same rows for both.",
    )
    add = parser.add_argument
    add("variants", nargs="*", default=list(CASES), metavar="VARIANT", help="by name: " + "; ".join(CASES))
    add("--pythae", metavar="PYTHON", help="the python of an environment in which pythae is installed")
    add("--epochs", type=at_least(1), default=1, help="length of each training")
    add("--repetitions", type=at_least(1), default=3, help="turns that each contender has")
    add("--rows", type=at_least(2), default=20_000, help="training rows")
    add("--batch-size", type=at_least(2), default=128, help="rows of a step")
    add("--threads", type=at_least(1), help="PyTorch's threads on the CPU; by default as many as there are cores")
    begin, end = marks(MARK)
    add("--write", type=Path, help=f"put the table between {begin} and {end} of this file")
    return parser


def require_pythae(python: str) -> None:
    """Asks the environment before anything is timed.

    Raises:
        UserError: there is no such python, or it has no pythae.
    """
    try:
        found = subprocess.run([python, "-c", "import pythae"], capture_output=True).returncode == 0
    except OSError:
        found = False
    if not found:
        raise UserError(f"{python} can't import pythae: make an environment (python -m venv), and pip install pythae.")


def measure(asked: argparse.Namespace, folder: Path) -> Measured:
    """The rates of every contender, a turn each until all repetitions are done.

    Raises:
        UserError: an unknown variant, or too few steps to be timed.
    """
    from benchmarks.contenders import WARM_UP

    if unknown := [name for name in asked.variants if name not in CASES]:
        raise UserError(f"Unknown variant '{unknown[0]}': known are {'; '.join(CASES)}.")
    if asked.epochs * -(-asked.rows // asked.batch_size) <= WARM_UP:
        raise UserError(f"The first {WARM_UP} steps are warm-up: ask for more rows or epochs.")
    plain = [name for name in CASES if name.partition(",")[0] == "Autoencoder"]
    needed = {CASES[name].network for name in asked.variants}
    names = [name for name in CASES if name in asked.variants or (name in plain and CASES[name].network in needed)]
    measured: Measured = {}
    for repetition in range(asked.repetitions):
        for name in names:
            print(f"turn {repetition + 1} of {asked.repetitions}: {name}", file=sys.stderr, flush=True)
            measured.setdefault(name, []).append(ours(name, asked, folder))
            if asked.pythae and CASES[name].pythae:
                measured.setdefault(PYTHAE + name, []).append(theirs(CASES[name].pythae, asked, folder))
    return measured


def ours(name: str, asked: argparse.Namespace, folder: Path) -> "Rate":
    """What the training path of ``pipelines.train`` achieves."""
    from benchmarks import contenders

    case = CASES[name]
    words = f"--model {name.partition(',')[0]} --model.latent_dim {LATENT_DIM} {NETWORKS[case.network]} {case.options}"
    setting = contenders.Setting(f"{words} {LIKELIHOOD}", asked.batch_size, asked.epochs, asked.rows, folder)
    return contenders.ours(setting, is_tracked=False)


def theirs(model: str, asked: argparse.Namespace, folder: Path) -> "Rate":
    """What pythae's trainer achieves in its own process, on the same rows.

    Raises:
        UserError: with the last thing that it said.
    """
    from benchmarks.contenders import WARM_UP, Rate

    sizes = {"latent-dim": LATENT_DIM, "batch-size": asked.batch_size, "epochs": asked.epochs, "warm-up": WARM_UP}
    words = [word for name, size in sizes.items() for word in (f"--{name}", str(size))]
    widths = ["--hidden", *map(str, json.loads(HIDDEN)), "--adversary", *map(str, json.loads(ADVERSARY))]
    command = [asked.pythae, str(SCRIPT), model, str(rows_file(asked, folder)), *words, *widths]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["nothing"]
        raise UserError(f"pythae's {model} did not train, and said: {said[-1]}")
    return Rate(*json.loads(done.stdout.splitlines()[-1]))


def rows_file(asked: argparse.Namespace, folder: Path) -> Path:
    """The training rows as ``(N, features)`` in a file that any numpy reads."""
    import numpy as np

    from benchmarks import contenders

    path = folder / "rows.npy"
    if not path.exists():
        setting = contenders.Setting(f"--model Autoencoder {NETWORKS['MLP']}", asked.batch_size, 1, asked.rows, folder)
        data = setting.configure().datamodule
        data.setup("fit")
        np.save(path, data.split("fit").x.flatten(1).numpy(), allow_pickle=False)
    return path


def table(measured: Measured) -> list[str]:
    """A Markdown table; ratios are medians over the turns. By CPU time they are steadier where others work too."""
    lines = ["| variant | rows/s | of plain | by CPU time | pythae, rows/s | ours / pythae | by CPU time |"]
    lines.append("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for name, case in CASES.items():
        if name not in measured:
            continue
        plain = "Autoencoder" if case.network == "MLP" else f"Autoencoder, {case.network}"
        cells = [name, _rows(measured[name]), *_ratios(measured, name, plain)]
        other = PYTHAE + name
        cells += [_rows(measured[other]), *_ratios(measured, name, other)] if other in measured else [""] * 3
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _rows(rates: Sequence["Rate"]) -> str:
    return f"{median(rate.rows_per_second for rate in rates):,.0f}"


def _ratios(measured: Measured, name: str, other: str) -> list[str]:
    return [f"{ratio(measured, name, other):.2f}" for ratio in (ratio_of, cpu_ratio_of)]


if __name__ == "__main__":
    sys.exit(main())
