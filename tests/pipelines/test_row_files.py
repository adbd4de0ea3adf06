"""Tables read by pieces, and parts of a result."""

import gzip
import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lit_ae.errors import UserError
from pipelines import row_files
from pipelines.parts import Parts

FRAME = pd.DataFrame({"a": np.arange(1000) / 7, "b": np.arange(1000), "who": ["x, y", 'say "z"', None, "é"] * 250})


@pytest.mark.parametrize("name", ["t.parquet", "t.csv", "t.csv.gz"])
@pytest.mark.parametrize("rows", [1, 300, 1000, 5000])
def test_pieces_are_of_the_size_asked_for_and_hold_every_row(name, rows, tmp_path):
    path = tmp_path / name
    FRAME.to_parquet(path) if name == "t.parquet" else FRAME.to_csv(path, index=False)
    read = list(row_files.tables(path, rows, ["a", "b"], (seen := []).append))
    assert {len(piece) for piece in read[:-1]} <= {rows}
    assert row_files.column_names(path) == ["a", "b", "who"]
    joined = pa.concat_tables(read).to_pandas()
    pd.testing.assert_frame_equal(joined, FRAME, check_dtype=False)
    assert seen == sorted(seen)
    assert seen[-1] == path.stat().st_size


BAD = {
    "ragged": (b"a,b\n1,2\n1\n", "line 3 has 1 columns, and the header 2"),
    "text": (b"a,b\n1,2\n1,x\n", "line 3, column 2 holds no number"),
    "empty": (b"", "it is empty"),
    "header only": (b"a,b\n", "no rows"),
    "latin-1": (b"a,who\n1,\xe9\n", "line 2, column 2 holds no text in UTF-8"),
    "long line": (b"a,who\n1," + b"x" * (9 << 20) + b"\n", "a line of more than 4 MB"),
}


@pytest.mark.parametrize(("content", "reason"), BAD.values(), ids=BAD.keys())
def test_bad_csv_is_said_in_one_sentence(content, reason, tmp_path):
    path = tmp_path / "bad.csv"
    path.write_bytes(content)
    with pytest.raises(UserError, match=reason) as said:
        list(row_files.tables(path, 10, ["a", "b"]))
    assert "\n" not in str(said.value)
    assert str(path) in str(said.value)


@pytest.mark.parametrize("name", ["t.parquet", "t.csv.gz"])
def test_a_truncated_file_is_refused(name, tmp_path):
    path = tmp_path / name
    whole = pa.BufferOutputStream()
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(5000, 3)), columns=list("abc"))
    if name == "t.parquet":
        pa.parquet.write_table(pa.Table.from_pandas(frame), whole)
        content = whole.getvalue().to_pybytes()
    else:
        content = gzip.compress(frame.to_csv(index=False).encode())
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match="damaged, truncated"):
        list(row_files.tables(path, 100, None))


def test_a_byte_order_mark_is_no_part_of_the_first_name(tmp_path):
    (tmp_path / "bom.csv").write_bytes(b"\xef\xbb\xbfa,b\n1,2\n")
    assert row_files.column_names(tmp_path / "bom.csv") == ["a", "b"]


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200))
def test_whatever_the_bytes_there_are_rows_or_a_sentence(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("fuzz") / "f.csv"
    path.write_bytes(content)
    try:
        said = "" if sum(len(piece) for piece in row_files.tables(path, 3, None)) else "no row"
    except UserError as error:
        said = str(error).replace(str(path), "")
    assert said == "" or said.startswith((" can't be read: ", " has a header"))


def a_table(number: int) -> pa.Table:
    return pa.table({"row": [2 * number, 2 * number + 1], "word": ["a", None]})


@pytest.mark.parametrize("name", ["r.csv", "r.parquet"])
def test_a_result_is_made_of_all_parts_and_leaves_nothing_else(name, tmp_path):
    parts = Parts(tmp_path / name, {"job": 1})
    for number in (0, 1, 2):
        parts.add(number, a_table(number))
        assert [file.name for file in tmp_path.iterdir()] == [f"{name}.parts"]
    assert parts.assemble() == 6
    read = pd.read_csv if name == "r.csv" else pd.read_parquet
    assert read(tmp_path / name)["row"].tolist() == [0, 1, 2, 3, 4, 5]
    assert [file.name for file in tmp_path.iterdir()] == [name]


def test_parts_of_the_same_job_stay_and_those_of_another_go(tmp_path):
    parts = Parts(tmp_path / "r.csv", {"job": 1})
    parts.add(0, a_table(0))
    with pytest.raises(UserError, match="Another process"):
        Parts(tmp_path / "r.csv", {"job": 1})
    del parts
    again = Parts(tmp_path / "r.csv", json.loads('{"job": 1}'))
    assert 0 in again
    assert 1 not in again
    assert again.kept == 1
    del again
    assert Parts(tmp_path / "r.csv", {"job": 2}).kept == 0


def test_a_place_that_cannot_be_written_is_said(tmp_path):
    with pytest.raises(UserError, match="cannot be written"):
        Parts(tmp_path / "no" / "such" / "r.csv", {})
