"""Parts of a result: it appears whole or not at all."""

import json

import pandas as pd
import pyarrow as pa
import pytest

from lit_ae.errors import UserError
from pipelines.parts import Parts


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
