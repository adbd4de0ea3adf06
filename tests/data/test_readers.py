"""Files of tables: what can be read is read alike in every form, and what is wrong is said in one sentence."""

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from data import readers
from data.readers import TableReader
from lit_ae.errors import UserError

GOOD = b"a,b,c\n1,2.5,x\n3,,y\n"


def read(path: Path, **options: Any) -> pd.DataFrame:
    return pd.concat(TableReader(path, **options).pieces(), ignore_index=True)


def written(folder: Path, content: bytes, name: str = "t.csv") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


FORMS: dict[str, tuple[str, Callable[[], bytes], dict[str, Any]]] = {
    "comma": ("t.csv", lambda: GOOD, {}),
    "byte order mark": ("t.csv", lambda: b"\xef\xbb\xbf" + GOOD, {}),
    "semicolon": ("t.csv", lambda: GOOD.replace(b",", b";"), {"delimiter": ";"}),
    "tabs, Windows' line ends": (
        "t.TSV",
        lambda: GOOD.replace(b",", b"\t").replace(b"\n", b"\r\n"),
        {"delimiter": "\t"},
    ),
    "gz": ("t.csv.gz", lambda: gzip.compress(GOOD), {}),
    "no header": ("t.txt", lambda: GOOD.partition(b"\n")[2], {"columns": ["a", "b", "c"]}),
    "utf-16": ("t.csv", lambda: GOOD.decode().encode("utf-16"), {"encoding": "utf-16"}),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_file_holds_the_same(form: str, tmp_path: Path) -> None:
    name, content, options = FORMS[form]
    frame = read(written(tmp_path, content(), name), **options)
    assert frame.to_dict("list") == {"a": [1.0, 3.0], "b": [2.5, pytest.approx(np.nan, nan_ok=True)], "c": ["x", "y"]}


def test_parquet_holds_the_same_and_knows_more_types(tmp_path: Path) -> None:
    pq.write_table(pa.table({"0": [1.0], "1": [2.0]}), tmp_path / "numbered.parquet")
    assert read(tmp_path / "numbered.parquet").to_dict("list") == {"0": [1.0], "1": [2.0]}
    table = pa.table({"a": [1, 3], "c": pa.array(["x", "y"]).dictionary_encode(), "t": [True, False]})
    pq.write_table(table, tmp_path / "t.parquet")
    assert read(tmp_path / "t.parquet").to_dict("list") == {"a": [1.0, 3.0], "c": ["x", "y"], "t": ["true", "false"]}


def test_a_folder_is_read_in_the_order_of_its_names(tmp_path: Path) -> None:
    for name, value in (("2.csv", 2), ("1.csv", 1), ("10.csv", 10)):
        written(tmp_path, f"a\n{value}\n".encode(), name)
    written(tmp_path, b"nothing", "notes.md")
    assert read(tmp_path)["a"].tolist() == [1, 10, 2]
    written(tmp_path, b"b\n3\n", "3.csv")
    with pytest.raises(UserError, match=r"3\.csv has other columns than .*1\.csv"):
        read(tmp_path)


def test_numbers_become_real_ones_after_whole_and_missing_ones(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(readers, "BLOCK", 1 << 12)
    path = written(tmp_path, b"a,b,c\n" + b"1,,0\n" * 2000 + b"1.5,7,1\n")
    reader = TableReader(path)
    last = None
    for last in reader.pieces():
        assert last["a"].dtype == last["b"].dtype == np.float64
    assert last is not None
    assert last.iloc[-1].tolist() == [1.5, 7.0, 1.0]
    assert reader.types["a"] == "int64"


MISTAKES: dict[str, tuple[str, bytes, dict[str, Any], str]] = {
    "not there": ("", b"", {}, r"gone\.csv is not there: say by data\.path"),
    "a name that says nothing": ("t.doc", GOOD, {}, r"t\.doc is no table that is known: its name must end in \.csv"),
    "empty": ("t.csv", b"", {}, r"t\.csv is empty"),
    "blank lines": ("t.csv", b"\n\n\n", {}, r"t\.csv holds blank lines alone: put the table there"),
    "a header alone": ("t.csv", b"a,b\n", {}, r"t\.csv holds no row that can be used"),
    "too few fields": ("t.csv", b"a,b\n1,2\n3\n", {}, r"t\.csv, line 3 has 1 field\(s\) instead of 2: .*bad_rows skip"),
    "too many fields": ("t.csv", b"a,b\n1,2,3\n", {}, r"t\.csv, line 2 has 3 field\(s\) instead of 2"),
    "text among numbers": ("t.csv", b"a,b\n" + b"1,2\n" * 20 + b"1,x\n", {}, r"line 22, column 'b' is 'x', where num"),
    "infinite": ("t.csv", b"a,b\n1,2\n1,-inf\n", {}, r"t\.csv, line 3, column 'b' is infinite: mend it"),
    "no header": ("t.csv", b"1,2\n3,4\n", {}, r"t\.csv has no header, .* by data\.columns"),
    "no header among text": ("t.csv", b"0,tcp,0\n1,udp,2\n", {}, r"t\.csv has no header, .* by data\.columns"),
    "another delimiter": ("t.csv", b"a;b\n1;2\n", {}, r"t\.csv has one column, 'a;b': is data\.delimiter ';' meant"),
    "a name twice": ("t.csv", b"a,a\n1,2\n", {}, r"t\.csv has the column 'a' twice"),
    "another encoding": ("t.csv", "a,b\n1,café\n".encode("latin1"), {}, r"line 2, column 'b' is not in UTF-8"),
    "another encoding in the header": (
        "t.csv",
        "a,café\n1,2\n".encode("latin1"),
        {},
        r"t\.csv is not in the encoding that data\.encoding",
    ),
    "utf-16": ("t.csv", GOOD.decode().encode("utf-16"), {}, r"t\.csv is in UTF-16: set data\.encoding to utf-16"),
    "an encoding that is none": ("t.csv", GOOD, {"encoding": "utf9"}, r"data\.encoding is utf9, and Python knows no"),
    "not in that encoding": ("t.csv", b"a\n\xff\n", {"encoding": "ascii"}, r"not in the encoding that data\.encoding"),
    "a truncated gz": ("t.csv.gz", gzip.compress(GOOD)[:-12], {}, r"t\.csv\.gz ends in the middle: get it again"),
    "not gz": ("t.csv.gz", GOOD, {}, r"t\.csv\.gz is no gz file, or is damaged"),
    "a line without end": ("t.csv", b"a,b\n1,2\n" + b"1" * 3 * readers.BLOCK, {}, r"a line of more than 4 MiB"),
    "a first line without end": ("t.csv", b"a" * 3 * readers.BLOCK, {}, r"a line of more than 4 MiB"),
    "not Parquet": ("t.parquet", GOOD, {}, r"t\.parquet is no Parquet file, or is damaged"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_told_in_one_sentence_with_file_line_and_column(mistake: str, tmp_path: Path) -> None:
    name, content, options, sentence = MISTAKES[mistake]
    path = written(tmp_path, content, name) if name else tmp_path / "gone.csv"
    with pytest.raises(UserError, match=sentence) as refusal:
        read(path, **options)
    assert "\n" not in str(refusal.value)


def test_lists_in_parquet_are_refused_by_their_column(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [1], "b": [[1, 2]]}), tmp_path / "t.parquet")
    with pytest.raises(UserError, match=r"the column 'b' holds list<.*flatten it"):
        read(tmp_path / "t.parquet")


def test_bad_rows_are_skipped_and_counted_if_wanted(tmp_path: Path) -> None:
    lines = [*["1,2"] * 20, "3", "4,5,6", "7,x", "inf,8", "9,10"]
    reader = TableReader(written(tmp_path, "\n".join(["a,b", *lines]).encode()), bad_rows="skip")
    frame = pd.concat(reader.pieces())
    assert frame["a"].tolist() == [*[1.0] * 20, 9.0]
    assert reader.skipped == {
        "lines with too many or too few fields": 2,
        "rows with text in a numeric column": 1,
        "rows with an infinite number": 1,
    }
    assert sum(map(len, reader.pieces())) + reader.skipped.total() == len(lines)


def answer(path: Path, **options: Any) -> pd.DataFrame | str:
    """What a file holds, or why it can't be read."""
    try:
        return read(path, **options)
    except UserError as refusal:
        return str(refusal)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=60) | st.text(',;"\n\rab1.-eé\t', max_size=60).map(str.encode), skip=st.booleans())
@example(content=b'a,b\n"1,2\n3,4\n', skip=False)
@example(content=b"a\n\0\n", skip=True)
@example(content=b'"\n";\r', skip=False)
def test_whatever_a_file_holds_it_is_read_or_refused(tmp_path: Path, content: bytes, skip: bool) -> None:
    got = answer(written(tmp_path, content), bad_rows="skip" if skip else "refuse")
    if isinstance(got, str):
        assert str(tmp_path) in got
        assert "\n" not in got
    else:
        assert len(got) > 0
        assert not np.isinf(got.select_dtypes("number").to_numpy(float)).any()


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(flipped=st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), max_size=3), cut=st.integers(0, 2000))
def test_a_damaged_parquet_file_is_read_or_refused(tmp_path: Path, flipped: list[Any], cut: int) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"a": [1.0, 2.0] * 20, "b": ["x", "y"] * 20}), path)
    content = bytearray(path.read_bytes()[: cut or None])
    for place, value in flipped:
        if content:
            content[place % len(content)] = value
    got = answer(written(tmp_path, bytes(content), "t.parquet"))
    assert str(tmp_path) in got if isinstance(got, str) else len(got) > 0
