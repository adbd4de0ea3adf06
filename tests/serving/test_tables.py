"""A served model of a table: frames in the user's own units in, frames and figures out."""

import json
from functools import partial
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
import torch
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import PyFuncModel, scoring_server

from data.learned_schema import SchemaLearner
from lit_ae.module import LitAutoencoder
from lit_ae.networks import MLP
from lit_ae.serving.package import package
from lit_ae.spec import DataSpec
from lit_ae.variants import VAE

FRAME = pd.DataFrame(
    {"size": [1.0, 2.0, None, 40.0], "colour": ["red", None, "blue", "red"], "count": [3, 4, 5, 6]}, index=[7, 5, 3, 1]
)
T = 3


def model_of(steps: int | None = None) -> LitAutoencoder:
    learner = SchemaLearner(list(FRAME.columns), missing="indicator", log=True, entity="pump" if steps else None)
    learner.update(FRAME)
    shape = (learner.preprocessing.features,) if steps is None else (steps, learner.preprocessing.features)
    kind = "table" if steps is None else "series"
    spec = DataSpec("T", kind, shape, learner.preprocessing, schema=learner.schema)  # type: ignore[arg-type]
    torch.manual_seed(0)
    return VAE(spec, latent_dim=2, network=partial(MLP, hidden=[8])).eval()


def served(model: LitAutoencoder, example: pd.DataFrame, directory: Path) -> PyFuncModel:
    package(model, example, directory, {})
    return mlflow.pyfunc.load_model(str(directory))


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> PyFuncModel:
    return served(model_of(), FRAME, tmp_path_factory.mktemp("rows") / "model")


@pytest.fixture(scope="module")
def windows(tmp_path_factory: pytest.TempPathFactory) -> PyFuncModel:
    return served(model_of(T), FRAME, tmp_path_factory.mktemp("windows") / "model")


def test_figures_are_those_of_the_model_in_memory(rows: PyFuncModel) -> None:
    model = model_of()
    schema = model.spec.schema
    assert schema is not None
    x = model.spec.preprocessing.apply(schema.encode(FRAME))
    with torch.no_grad():
        expected = model(x)
    error = rows.predict(FRAME, params={"output": "error"})
    np.testing.assert_allclose(error, (expected - x).square().mean(1), rtol=1e-5)
    assert rows.predict(FRAME, params={"output": "latent"}).shape == (4, 2)
    told = rows.predict(FRAME)
    pd.testing.assert_frame_equal(told, schema.decode(model.spec.preprocessing.invert(expected)), rtol=1e-4)
    assert set(told["colour"].dropna()) <= {"red", "blue", "(unseen)"}
    assert list(rows.predict(FRAME, params={"output": "sample"}).columns) == list(FRAME.columns)


def test_columns_are_found_by_name_in_any_order(rows: PyFuncModel) -> None:
    turned = FRAME[["count", "size", "colour"]].assign(other="x")
    error = partial(rows.predict, params={"output": "error"})
    assert np.array_equal(error(FRAME), error(turned))


def test_a_row_is_answered_alike_in_any_company(rows: PyFuncModel) -> None:
    together = rows.predict(FRAME, params={"output": "error"})
    alone = [rows.predict(FRAME[at : at + 1], params={"output": "error"})[0] for at in range(4)]
    np.testing.assert_allclose(together, alone, rtol=1e-6)


MISTAKES = {
    "missing": (FRAME.drop(columns="size"), r"lacks the column\(s\) 'size': the model needs all 3\.$"),
    "no names": (pd.DataFrame(FRAME.to_numpy()), r"names none of the model's columns"),
    "array": (np.zeros((2, 3)), r"names none of the model's columns"),
    "text": (FRAME.assign(size="big"), r"row 0, column 'size': 'big' is no number, and the column takes numbers"),
    "number": (FRAME.assign(colour=7), r"row 0, column 'colour': 7 is a number, and the column takes text"),
    "infinite": (FRAME.assign(size=np.inf), r"row 0, column 'size': the number is infinite"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_what_is_wrong_is_refused_in_one_sentence(rows: PyFuncModel, mistake: str) -> None:
    frame, sentence = MISTAKES[mistake]
    with pytest.raises(MlflowException, match=sentence) as refusal:
        rows.predict(frame)
    assert refusal.value.get_http_status_code() == 400
    assert str(refusal.value).count("\n") == 0


def test_the_signature_names_the_columns_and_the_example_is_a_frame(rows: PyFuncModel, windows: PyFuncModel) -> None:
    assert rows.metadata.get_input_schema().input_names() == list(FRAME.columns)
    assert windows.metadata.get_input_schema().input_names() == [*FRAME.columns, "pump"]
    example = rows.input_example
    pd.testing.assert_frame_equal(example, FRAME.reset_index(drop=True), check_dtype=False)
    assert len(rows.predict(example)) == 4


def test_a_server_answers_frames_and_refuses_by_status_400(rows: PyFuncModel) -> None:
    def ask(frame: pd.DataFrame) -> tuple[int, str]:
        split = json.loads(frame.to_json(orient="split"))
        body = json.dumps({"dataframe_split": split, "params": {"output": "error"}})
        try:
            answer = scoring_server.invocations(body, "application/json", rows, rows.metadata.get_input_schema())
        except MlflowException as refused:
            return refused.get_http_status_code(), refused.message
        return answer.status, answer.response

    status, response = ask(FRAME)
    assert status == 200
    expected = rows.predict(FRAME, params={"output": "error"})
    np.testing.assert_allclose(json.loads(response)["predictions"], expected, rtol=1e-6)
    status, message = ask(FRAME.drop(columns="count"))
    assert status == 400
    assert "lacks the column(s) 'count'" in message


def test_a_window_is_answered_at_its_last_row_and_the_first_rows_are_not_scored(windows: PyFuncModel) -> None:
    series = pd.concat([FRAME, FRAME], ignore_index=True)
    error = windows.predict(series, params={"output": "error"})
    assert np.isnan(error).tolist() == [True, True, *[False] * 6]
    later = series.assign(size=[*series["size"][:-1], 1e9])
    changed = windows.predict(later, params={"output": "error"})
    assert np.array_equal(changed[2:-1], error[2:-1])
    assert changed[-1] > error[-1]
    assert windows.predict(series)["size"].isna().tolist()[:2] == [True, True]


def test_no_window_holds_rows_of_two_series(windows: PyFuncModel) -> None:
    one = pd.concat([FRAME, FRAME], ignore_index=True)
    mixed = one.assign(pump=list("ababbaab"))
    error = windows.predict(mixed, params={"output": "error"})
    for pump in "ab":
        own = mixed["pump"] == pump
        alone = windows.predict(one[own], params={"output": "error"})
        np.testing.assert_allclose(error[own.to_numpy()], alone, rtol=1e-6)


def test_too_few_rows_for_a_window_are_refused(windows: PyFuncModel) -> None:
    with pytest.raises(MlflowException, match=r"looks at 3 rows of a series at once, and the input has fewer"):
        windows.predict(FRAME[:2])
