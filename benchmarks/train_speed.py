"""Rows a second in training, ours beside the loops that people write by hand: ``python -m benchmarks.train_speed``."""

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from pipelines.command_line import one_line_errors
from pipelines.results import marks, require_marks, write

if TYPE_CHECKING:
    from benchmarks.contenders import Rate, Setting

MARK = "speed"
OURS, UNTRACKED, HALF = "ours", "ours, tracking off", "ours, --trainer.precision bf16-mixed"
BARE, BARE_FUSED = "bare PyTorch loop over tensors", "bare PyTorch loop, fused Adam"
HEADER = """
| {network}: training loop | rows/s | lowest-highest | of the bare loop | CPU µs/row | of the bare loop by CPU |
| --- | ---: | ---: | ---: | ---: | ---: |"""

Measured = dict[str, list["Rate"]]


def main(argv: Sequence[str] | None = None) -> int:
    """Measures and prints a table for each network."""
    asked = parser().parse_args(argv)
    if asked.data:
        os.environ["LIT_AE_DATA"] = asked.data
    if asked.threads:
        os.environ["OMP_NUM_THREADS"] = str(asked.threads)  # before torch is imported
    with one_line_errors(), tempfile.TemporaryDirectory() as folder:
        if asked.write:
            require_marks(asked.write, MARK)
        os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{folder}/mlflow.db"
        prepare()
        told = []
        for network in asked.network:
            told += table(network, measure(network, asked, Path(folder)))
        print("\n".join(told))
        if asked.write:
            write(asked.write, MARK, "\n".join(told[1:]))
    return 0


def parser() -> argparse.ArgumentParser:
    """What can be asked for."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.train_speed",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        description="Rows a second in training on MNIST: ours as users run it (MLflow run, checkpoints, history; no "
        "pictures), the same in bfloat16, ours without tracking, a bare PyTorch loop over tensors (also with "
        "the fused Adam that ours has), and the usual loop over torchvision's samples. Same network, loss, "
        "optimizer, batch size. They take turns, so that whatever else the machine does hits all alike; start-up and "
        "validation are not counted. A whole call takes some minutes on two cores.",
    )
    add = parser.add_argument
    add("--network", nargs="+", choices=("mlp", "conv"), default=["mlp", "conv"],
        help="mlp: VAE 784-512-256, latent 20; conv: autoencoder of 32-64 channels, latent 32")  # fmt: skip
    add("--epochs", type=at_least(1), default=1, help="length of each training")
    add("--repetitions", type=at_least(1), default=3, help="turns that each contender has")
    add("--rows", type=at_least(2), default=55_000, help="training rows; fewer make each epoch's checkpoints dearer")
    add("--batch-size", type=at_least(2), default=128, help="rows of a step")
    add("--workers", nargs="*", type=at_least(0), default=[0, 2], help="loader processes of the loop over samples")
    add("--threads", type=at_least(1), help="PyTorch's threads on the CPU; by default as many as there are cores")
    add("--data", metavar="FOLDER", help="the data's folder, read only; by default LIT_AE_DATA or ~/.cache/lit_ae")
    begin, end = marks(MARK)
    add("--write", type=Path, help=f"put the tables between {begin} and {end} of this file")
    return parser


def at_least(lowest: int) -> Callable[[str], int]:
    """A whole number that is not too small."""

    def number(text: str) -> int:
        if int(text) < lowest:
            raise argparse.ArgumentTypeError(f"must be {lowest} or more, not {text}")
        return int(text)

    return number


def prepare() -> None:
    """Downloads MNIST if it is missing.

    Raises:
        UserError: it is missing and cannot be had.
    """
    from data import MNIST
    from pipelines.terminal import keep_quiet

    keep_quiet()
    MNIST().prepare_data()


def measure(network: str, asked: argparse.Namespace, folder: Path) -> Measured:
    """The rates of every contender, a turn each until all repetitions are done, every other time in reversed order."""
    from benchmarks.contenders import WARM_UP, Setting

    setting = Setting(network, asked.batch_size, asked.epochs, asked.rows, folder)
    steps = asked.epochs * -(-asked.rows // asked.batch_size)
    if steps <= WARM_UP:
        sys.exit(f"{steps} steps are not enough, the first {WARM_UP} are warm-up: ask for more rows or epochs.")
    contenders = contenders_for(asked.workers)
    measured: Measured = {name: [] for name in contenders}
    for repetition in range(asked.repetitions):
        for name, contender in list(contenders.items())[:: -1 if repetition % 2 else 1]:
            print(f"{network}, turn {repetition + 1} of {asked.repetitions}: {name}", file=sys.stderr, flush=True)
            measured[name].append(contender(setting))
    return measured


def contenders_for(workers: list[int]) -> dict[str, Callable[["Setting"], "Rate"]]:
    """The contenders by name, in the order of their turns."""
    from functools import partial

    from benchmarks.contenders import bare_loop, ours, sample_loop

    return {
        BARE: bare_loop,
        OURS: partial(ours, is_tracked=True),
        UNTRACKED: partial(ours, is_tracked=False),
        HALF: partial(ours, is_tracked=True, precision="bf16-mixed"),
        BARE_FUSED: partial(bare_loop, is_fused=True),
        **{f"loop over torchvision's samples, {n} workers": partial(sample_loop, workers=n) for n in workers},
    }


def table(network: str, measured: Measured) -> list[str]:
    """A Markdown table of medians; ratios are medians over the turns, so that slow minutes cancel.

    On a machine that does something else too, the ratio by CPU time (loader processes left out) is the steadier one.
    """
    lines = HEADER.format(network=network).split("\n")
    for name, rates in measured.items():
        rows = [rate.rows_per_second for rate in rates]
        cpu = median(rate.cpu_microseconds for rate in rates)
        spread = f"{min(rows):,.0f}-{max(rows):,.0f}"
        ratios = ratio_of(measured, name, BARE), cpu_ratio_of(measured, name, BARE)
        lines.append(f"| {name} | {median(rows):,.0f} | {spread} | {ratios[0]:.2f} | {cpu:.1f} | {ratios[1]:.2f} |")
    lines.append("")
    for name in [name for name in measured if "samples" in name]:
        lines += [f"{own} / {name}: {ratio_of(measured, own, name):.2f}  " for own in (OURS, HALF)]
    costs = [100 * (1 - ratio(measured, OURS, UNTRACKED)) for ratio in (ratio_of, cpu_ratio_of)]
    return [*lines, f"tracking costs {costs[0]:.1f} % of the rate, {costs[1]:.1f} % by CPU time."]


def ratio_of(measured: Measured, name: str, other: str) -> float:
    """How many times as fast ``name`` is as ``other``: the median over the turns."""
    turns = zip(measured[name], measured[other], strict=True)
    return median(a.rows_per_second / b.rows_per_second for a, b in turns)


def cpu_ratio_of(measured: Measured, name: str, other: str) -> float:
    """The same by the CPU time that a row takes."""
    turns = zip(measured[name], measured[other], strict=True)
    return median(b.cpu_microseconds / a.cpu_microseconds for a, b in turns)


if __name__ == "__main__":
    sys.exit(main())
