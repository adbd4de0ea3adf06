"""An epoch over a Parquet file that is larger than the memory allowed: ``python -m benchmarks.loading``."""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.train_speed import at_least

MIB = 1 << 20
SHUFFLE_ROWS = 32_768
HEADER = """
| file, MiB as numbers | limit, MiB | peak above the start, MiB | rows | staging, rows/s | epoch, rows/s |
| ---: | ---: | ---: | ---: | ---: | ---: |"""


def main(argv: Sequence[str] | None = None) -> int:
    """Writes the file, measures in a process of its own that may take no more memory, and prints a row."""
    asked = parser().parse_args(argv)
    if asked.measure:
        print(json.dumps(measure(Path(asked.measure), asked.limit)))
        return 0
    with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
        file = Path(folder) / "rows.parquet"
        size = write(file, asked.times * asked.limit * MIB // (8 * asked.columns), asked.columns)
        figures = in_a_process(file, asked.limit)
    print(HEADER)
    print(
        f"| {size / MIB:,.0f} | {asked.limit:,} | {figures['peak'] / MIB:,.0f} | {figures['rows']:,} | "
        f"{figures['staging']:,.0f} | {figures['epoch']:,.0f} |"
    )
    return 0


def parser() -> argparse.ArgumentParser:
    """What can be asked for."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.loading",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        description="Streams a made-up Parquet file, ten times as large as the memory that the process may take beyond "
        "what it has once its libraries are loaded (the kernel enforces it): the table is staged, and every training "
        "row is read once in the order of an epoch.",
    )
    parser.add_argument("--limit", type=at_least(1), default=128, help="MiB that may be taken")
    parser.add_argument("--times", type=at_least(1), default=10, help="size of the file, in limits")
    parser.add_argument("--columns", type=at_least(1), default=41, help="columns of the file, all of numbers")
    parser.add_argument("--folder", help="where the file goes for the time being; by default the system's own place")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    return parser


def write(file: Path, rows: int, columns: int) -> int:
    """A Parquet file of random numbers, written piece by piece; returns its size as numbers in memory, in bytes."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(0)
    schema = pa.schema([(f"c{at}", pa.float64()) for at in range(columns)])
    with pq.ParquetWriter(file, schema, use_dictionary=False) as writer:
        for start in range(0, rows, SHUFFLE_ROWS):
            values = rng.normal(size=(columns, min(SHUFFLE_ROWS, rows - start)))
            writer.write_table(pa.table(list(values), schema=schema))
    return rows * columns * 8


def in_a_process(file: Path, limit: int) -> dict[str, Any]:
    """What :func:`measure` says in a fresh process."""
    command = [sys.executable, "-m", "benchmarks.loading", "--limit", str(limit), "--measure", str(file)]
    environment = os.environ | {
        "ARROW_DEFAULT_MEMORY_POOL": "system",
        "MALLOC_ARENA_MAX": "1",
        "MALLOC_MMAP_THRESHOLD_": "65536",
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"It failed within {limit} MiB:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def measure(file: Path, limit: int) -> dict[str, Any]:
    """Stages the table and goes through an epoch, in ``limit`` MiB beyond what the process has now.

    Returns:
        The peak of the resident memory above the start in bytes, the rows of the epoch, and rows a second.
    """
    from data import Table

    table = Table(
        str(file), stream=True, shuffle_rows=SHUFFLE_ROWS, held_out_rows=1000, staging=str(file.parent / "staged"),
        tune_share=0.001, calibrate_share=0.001, test_share=0.001, batch_size=1024,
    )  # fmt: skip
    start = memory("VmRSS")
    most = memory("VmData") + limit * MIB
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    began = time.perf_counter()
    sizes = table.split_sizes
    staged = time.perf_counter()
    rows = sum(len(batch.x) for batch in table.train_dataloader())
    ended = time.perf_counter()
    assert rows == sizes["fit"]
    return {
        "peak": memory("VmHWM") - start,
        "rows": rows,
        "staging": rows / (staged - began),
        "epoch": rows / (ended - staged),
    }


def memory(field: str) -> int:
    """A figure of this process's memory in bytes, as the Linux kernel gives it."""
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith(f"{field}:")) * 1024


if __name__ == "__main__":
    sys.exit(main())
