"""The columns of a table: numbers and back, and what is refused."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from data.learned_schema import Moments, SchemaLearner
from lit_ae.errors import UserError
from lit_ae.preprocessing import Preprocessing, Tabular
from lit_ae.schema import UNSEEN, Schema
from lit_ae.spec import DataSpec

FRAME = pd.DataFrame(
    {"size": [1.0, 2.0, None, 4.0], "colour": ["red", "blue", None, "red"], "count": [3, 3, 3, 3], "ok": [True] * 4}
)


def learned(frame: pd.DataFrame = FRAME, **options: Any) -> SchemaLearner:
    learner = SchemaLearner(list(frame.columns), **options)
    learner.update(frame)
    return learner


@st.composite
def frames(draw: st.DrawFn) -> pd.DataFrame:
    rows = draw(st.integers(1, 8))
    number = st.floats(-1e12, 1e12, allow_nan=False)
    present = draw(number)
    values = [present, *draw(st.lists(st.none() | number, min_size=rows, max_size=rows))]
    words = draw(st.lists(st.none() | st.text("ab é,;\"'", max_size=3), min_size=rows + 1, max_size=rows + 1))
    return pd.DataFrame({"number": pd.Series(values, dtype=float), "word": pd.Series(words, dtype="str")})


@given(frame=frames(), data=st.data())
@settings(deadline=None, max_examples=30)
def test_a_frame_comes_back_from_its_numbers(frame: pd.DataFrame, data: st.DataObject) -> None:
    schema = learned(frame).schema
    order = data.draw(st.permutations(["number", "word", "other"]))
    raw = schema.encode(frame.assign(other=1)[list(order)])
    back = schema.decode(raw)
    np.testing.assert_array_equal(back["number"], frame["number"])
    assert back["word"].isna().equals(frame["word"].isna())
    assert back["word"].dropna().tolist() == frame["word"].dropna().tolist()


@given(frame=frames(), log=st.booleans(), missing=st.sampled_from(["mean", "indicator"]))
@settings(deadline=None, max_examples=30)
def test_numbers_come_back_from_model_space(frame: pd.DataFrame, log: bool, missing: Any) -> None:
    learner = learned(frame, log=log, missing=missing)
    way = Preprocessing.from_dict(json.loads(json.dumps(learner.preprocessing.to_dict())))
    assert isinstance(way, Tabular)
    raw = learner.schema.encode(frame)
    x = way.apply(raw)
    assert x.shape == (len(frame), way.features)
    assert x.isfinite().all()
    back = way.invert(x)
    assert back[:, 1].equal(raw[:, 1])
    known = ~raw[:, 0].isnan()
    scale = frame["number"].abs().max()
    torch.testing.assert_close(back[known, 0], raw[known, 0], rtol=1e-4, atol=max(1e-5 * scale, 1e-5))
    assert back[:, 0].isnan().equal(~known if missing == "indicator" else torch.zeros_like(known))


def test_standard_scores_on_a_logarithmic_scale_by_hand() -> None:
    frame = pd.DataFrame({"bytes": [0.0, 10.0, -1000.0], "flag": ["a", "b", "a"]})
    way = learned(frame, log=True).preprocessing
    x = way.apply(learned(frame).schema.encode(frame))
    logs = np.array([0.0, np.log(11), -np.log(1001)])
    np.testing.assert_allclose(x[:, 0], (logs - logs.mean()) / logs.std(), rtol=1e-6)
    assert x[:, 1:].tolist() == [[1, 0, 0], [0, 1, 0], [1, 0, 0]]
    assert way.columns == [0, 1, 1, 1]


def test_an_unseen_category_has_a_bin_of_its_own() -> None:
    schema = learned().schema
    raw = schema.encode(FRAME.assign(colour="green"))
    assert raw[:, 1].tolist() == [3.0] * 4
    assert schema.decode(raw)["colour"].tolist() == [UNSEEN] * 4
    assert learned().preprocessing.apply(raw)[:, 2:6].tolist() == [[0, 0, 0, 1]] * 4


def test_the_rarest_categories_count_as_unseen() -> None:
    frame = pd.DataFrame({"a": ["x", "x", "y", "y", "z"]})
    assert learned(frame, max_categories=2).schema.columns[0].categories == ("x", "y")


def test_missing_values_by_policy() -> None:
    by_mean, by_sign = learned(missing="mean"), learned(missing="indicator")
    raw = by_mean.schema.encode(FRAME)
    assert raw[2, 0].isnan()
    assert by_mean.preprocessing.apply(raw)[2, 0] == 0
    assert by_sign.preprocessing.apply(raw)[:, -1].tolist() == [0, 0, 1, 0]
    assert by_sign.preprocessing.features == by_mean.preprocessing.features + 1
    assert by_mean.schema.decode(raw)["colour"].isna().tolist() == [False, False, True, False]
    with pytest.raises(UserError, match=r"The input, row 2, column 'size': the value is missing"):
        learned(missing="refuse").schema.encode(FRAME)


def test_a_constant_column_is_kept_and_what_differs_stands_out() -> None:
    learner = learned()
    x = learner.preprocessing.apply(learner.schema.encode(FRAME.assign(count=[3, 4, 3, 3])))
    assert x[:, 1].tolist() == [0, 1, 0, 0]
    assert "3 to 3 (constant)" in learner.schema.to_markdown()


WRONG: dict[str, tuple[Any, str]] = {
    "missing column": (FRAME.drop(columns="size"), r"lacks the column\(s\) 'size': the model needs all 4"),
    "misspelt column": (FRAME.rename(columns={"size": "sise"}), r"lacks .*'size' \('sise' is not one of the model's"),
    "another case": (FRAME.rename(columns={"size": "SIZE"}), r"lacks .*'size' \('SIZE' is not one of the model's"),
    "no names": (pd.DataFrame(FRAME.to_numpy()), r"names none of the model's columns \('size', 'colour'"),
    "twice": (pd.concat([FRAME, FRAME[["size"]]], axis=1), r"has the column 'size' twice"),
    "text": (FRAME.assign(size=["1", "2", "x", "4"]), r"row 0, column 'size': '1' is no number"),
    "one text": (FRAME.assign(size=[1, None, "x", 4]), r"row 2, column 'size': 'x' is no number"),
    "times": (FRAME.assign(size=pd.Timestamp("2026-01-01")), r"column 'size': '2026-01-01.*' is no number"),
    "infinite": (FRAME.assign(size=[1, 2, 3, -np.inf]), r"row 3, column 'size': the number is infinite"),
    "number for text": (FRAME.assign(colour=3), r"row 0, column 'colour': 3 is a number, and the column takes text"),
}


@pytest.mark.parametrize("mistake", WRONG)
def test_a_mistake_is_told_in_one_sentence_that_names_it(mistake: str) -> None:
    frame, sentence = WRONG[mistake]
    with pytest.raises(UserError, match=sentence) as refusal:
        learned().schema.encode(frame)
    assert "\n" not in str(refusal.value)


def test_a_column_without_values_is_refused() -> None:
    with pytest.raises(UserError, match=r"The column 'size' has no value in the training rows"):
        _ = learned(FRAME.assign(size=np.nan)).schema


@settings(max_examples=50)
@given(values=st.lists(st.none() | st.floats(-1e6, 1e6), min_size=2, max_size=40), cut=st.integers(0, 40))
def test_moments_of_pieces_are_those_of_the_whole(values: list[float | None], cut: int) -> None:
    array = np.array([np.nan if value is None else value for value in values], dtype=float)
    pieces = Moments()
    for piece in (array[:cut], array[cut:]):
        pieces.update(piece)
    present = array[~np.isnan(array)]
    assert (pieces.count, pieces.missing) == (len(present), len(array) - len(present))
    if len(present):
        assert pieces.mean == pytest.approx(present.mean(), rel=1e-9, abs=1e-6)
        assert (pieces.low, pieces.high) == (present.min(), present.max())
        if present.std() > 1e-3:
            assert pieces.deviation == pytest.approx(present.std(), rel=1e-6)


def test_a_spec_with_a_schema_is_plain_json_and_comes_back() -> None:
    learner = learned(missing="indicator", entity="pump")
    spec = DataSpec("T", "table", (8,), learner.preprocessing, schema=learner.schema)
    back = DataSpec.from_dict(json.loads(json.dumps(spec.to_dict())))
    assert back.to_dict() == spec.to_dict()
    assert isinstance(back.schema, Schema)
    assert back.schema.columns == learner.schema.columns
    assert back.schema.entity == "pump"
    raw = learner.schema.encode(FRAME)
    assert back.preprocessing.apply(raw).equal(learner.preprocessing.apply(raw))
