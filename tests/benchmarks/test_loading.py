"""The benchmark of streaming: a file larger than the memory allowed is read to its last row, and the limit is real."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from benchmarks import loading


def test_the_file_is_as_large_as_it_says(tmp_path: Path) -> None:
    assert loading.write(tmp_path / "t.parquet", 40_000, 3) == 40_000 * 3 * 8
    assert pq.read_metadata(tmp_path / "t.parquet").num_rows == 40_000


def test_an_epoch_is_measured_within_the_limit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert loading.main(["--limit", "200", "--times", "1", "--columns", "400", "--folder", str(tmp_path)]) == 0
    row = capsys.readouterr().out.splitlines()[-1]
    size, limit, peak, rows, staging, epoch = (float(cell.replace(",", "")) for cell in row.strip("| ").split("|"))
    assert (size, limit) == (200, 200)
    assert 0 < peak <= 200
    assert 0.99 * 65_536 < rows < 65_536
    assert min(staging, epoch) > 0


def test_a_limit_that_is_too_low_ends_the_process(tmp_path: Path) -> None:
    loading.write(tmp_path / "t.parquet", 65_536, 20)
    with pytest.raises(SystemExit, match="It failed within 1 MiB"):
        loading.in_a_process(tmp_path / "t.parquet", 1)
