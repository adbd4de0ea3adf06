"""Rows a second of scoring beside PyOD's, and the memory of a long table: ``python -m benchmarks.scoring``."""

import argparse
import importlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from lit_ae.errors import UserError
from pipelines.command_line import ROOT, one_line_errors

COLUMNS = 41
PIECE = 65_536


def main(argv: Sequence[str] | None = None) -> int:
    """Measures and prints a table."""
    asked = parser().parse_args(argv)
    os.environ["OMP_NUM_THREADS"] = str(asked.threads)  # before torch is imported; the processes below inherit it
    with one_line_errors(), tempfile.TemporaryDirectory() as folder:
        if asked.speed_rows:
            print_speed(asked.speed_rows, asked.repetitions)
        if asked.memory_rows:
            print_memory(asked.memory_rows, Path(folder))
    return 0


def parser() -> argparse.ArgumentParser:
    """What can be asked for."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.scoring",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        description="Rows a second of Detector.score, with one score and with the combination it would choose, and of "
        "PyOD's AutoEncoder.decision_function (pip install pyod) on a network of the same layers and the same rows of "
        f"{COLUMNS} numbers; they take turns. Then the peak memory of python -m pipelines.score over Parquet files.",
    )
    add = parser.add_argument
    add("--speed-rows", type=int, default=100_000, help="rows that are scored in memory; 0 leaves it out")
    add("--memory-rows", type=int, nargs="*", default=[1_000_000, 10_000_000], help="rows of each file")
    add("--repetitions", type=int, default=5, help="turns that each contender has")
    add("--threads", type=int, default=1, help="PyTorch's threads on the CPU")
    return parser


def print_speed(rows: int, repetitions: int) -> None:
    """The median and range of each contender's rates."""
    contenders = dict(makers(rows))
    rates: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(repetitions):
        for name, score in contenders.items():
            began = time.perf_counter()
            score()
            rates[name].append(rows / (time.perf_counter() - began))
    print(f"\n| score of {rows:,} rows, {COLUMNS} columns | rows/s | lowest-highest |\n| --- | ---: | ---: |")
    for name, found in rates.items():
        print(f"| {name} | {median(found):,.0f} | {min(found):,.0f}-{max(found):,.0f} |")


def makers(rows: int) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Each contender's name and what scores all rows."""
    import torch

    from lit_ae.detection.detector import Detector
    from lit_ae.detection.settings import DetectionSettings

    torch.manual_seed(0)
    x, normal = torch.randn(rows, COLUMNS), torch.randn(3, 2000, COLUMNS)
    for name, scores in (("ours, reconstruction error", ["reconstruction_error"]), ("ours, its combination", None)):
        settings = DetectionSettings(scores=scores)  # type: ignore[arg-type]
        detector = Detector.fit(network(), normal[0], normal[1], normal[2], settings)
        yield f"{name}: {' + '.join(detector.chosen)}", partial(detector.score, x)
    other = pyod_autoencoder(normal[0].numpy())
    matrix = x.numpy()
    yield "PyOD, its default batch of 32", lambda: other.decision_function(matrix)
    yield "PyOD, batches of 4,096", lambda: other.decision_function(matrix, batch_size=4096)


def network() -> Any:
    """An autoencoder of layers 41-64-32-64-41."""
    from lit_ae.networks import MLP
    from lit_ae.preprocessing import Rescale
    from lit_ae.spec import DataSpec
    from lit_ae.variants import Autoencoder

    spec = DataSpec("Numbers", "table", (COLUMNS,), Rescale(0.0, 1.0))
    return Autoencoder(spec, latent_dim=32, network=partial(MLP, hidden=[64])).eval()


def pyod_autoencoder(x: Any) -> Any:
    """PyOD's, of the same layers, trained for one epoch.

    Raises:
        UserError: PyOD is not installed.
    """
    try:
        module = importlib.import_module("pyod.models.auto_encoder")
    except ImportError as error:
        raise UserError(f"PyOD is not there ({error}): pip install pyod, or leave it out by --speed-rows 0.") from error
    plain = {"hidden_neuron_list": [64, 32], "batch_norm": False, "dropout_rate": 0.0, "epoch_num": 1, "verbose": 0}
    return module.AutoEncoder(device="cpu", **plain).fit(x)


def print_memory(sizes: Sequence[int], folder: Path) -> None:
    """The highest resident memory of a process that scores a file, and its rate with start-up counted."""
    model = pack(folder)
    print(f"\n| python -m pipelines.score, {COLUMNS} columns | peak memory, MiB | rows/s |\n| --- | ---: | ---: |")
    for rows in sizes:
        table = write_table(folder / f"{rows}.parquet", rows)
        began = time.perf_counter()
        peak = peak_of(["pipelines.score", str(model), str(table), str(folder / "scores.parquet")])
        rate = rows / (time.perf_counter() - began)
        table.unlink()
        print(f"| {rows:,} rows | {peak / 2**20:,.0f} | {rate:,.0f} |", flush=True)


def pack(folder: Path) -> Path:
    """A packed model of a table of 41 numbers, with a detector."""
    from data import Table
    from lit_ae.detection.detector import Detector
    from lit_ae.detection.settings import DetectionSettings
    from lit_ae.networks import MLP
    from lit_ae.serving.package import package
    from lit_ae.variants import Autoencoder

    write_table(folder / "train.parquet", 5000)
    data = Table(path=str(folder / "train.parquet"))
    data.setup("fit")
    model = Autoencoder(data.spec, latent_dim=32, network=partial(MLP, hidden=[64])).eval()
    fit, tune, test = (data.split(role).x for role in ("fit", "tune", "test"))
    detector = Detector.fit(model, fit, tune, test, DetectionSettings())
    package(model, data.example(), folder / "model", {}, detector)
    return folder / "model"


def write_table(path: Path, rows: int) -> Path:
    """A Parquet file of standard normal numbers, written a piece at a time."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as parquet

    generator = np.random.default_rng(0)
    names = [f"column_{number}" for number in range(COLUMNS)]
    with parquet.ParquetWriter(path, pa.schema([(name, pa.float32()) for name in names])) as file:
        for begin in range(0, rows, PIECE):
            size = min(PIECE, rows - begin)
            file.write_table(pa.table({name: generator.standard_normal(size, np.float32) for name in names}))
    return path


def peak_of(words: list[str]) -> int:
    """The highest resident memory in bytes of ``python -m`` these words.

    Raises:
        UserError: it did not end well.
    """
    watched = subprocess.Popen([sys.executable, "-m", *words], cwd=ROOT)
    _, status, used = os.wait4(watched.pid, 0)
    if status:
        raise UserError(f"python -m {' '.join(words)} ended with status {status}: see what it printed above.")
    return used.ru_maxrss * 1024


if __name__ == "__main__":
    sys.exit(main())
