"""A server of models that look at windows of a table's rows, and of models of strings."""

import json
from functools import partial
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pyarrow.parquet as parquet
import pytest
import torch

from data import SMILES
from lit_ae.detection.detector import Detector
from lit_ae.detection.settings import DetectionSettings
from lit_ae.likelihoods import Categorical
from lit_ae.networks import Recurrent
from lit_ae.schema import Schema
from lit_ae.serving.package import package
from lit_ae.spec import DataSpec
from lit_ae.variants import VAE
from tests.serving.test_verdicts import SCHEMA, WAY, packed, plant

STEPS = 4
MOLECULES = ["OCC", "c1ccccc1O", "CC(=O)O"]


@pytest.fixture(scope="module")
def windows(tmp_path_factory) -> str:
    spec = DataSpec("Pumps", "series", (STEPS, WAY.features), WAY, schema=Schema(SCHEMA.columns, entity="pump"))

    def some(rows: int, seed: int) -> torch.Tensor:
        return WAY.apply(SCHEMA.encode(plant(rows, seed))).unfold(0, STEPS, 1).transpose(1, 2).contiguous()

    return packed(spec, tmp_path_factory.mktemp("windows"), 1, some)[1]


@pytest.fixture(scope="module")
def strings(tmp_path_factory) -> str:
    data = SMILES(length=30)
    data.setup()
    torch.manual_seed(0)
    network = partial(Recurrent, hidden=12, embedding=8)
    model = VAE(data.spec, latent_dim=4, network=network, likelihood=Categorical).eval()
    x = data.split("fit").x
    rows = x[:200], x[200:300], x[300:500]
    detector = Detector.fit(model, *rows, DetectionSettings(alpha=0.1, bank_size=50, scores=["mahalanobis"]))
    folder = tmp_path_factory.mktemp("strings") / "model"
    package(model, data.example(), folder, {}, detector)
    return str(folder)


def two_pumps() -> pd.DataFrame:
    """Ten rows of one and two of another, by turns where there are both; the last but one is no normal one."""
    rows = plant(12, 3).assign(pump=["a", "b", "a", "b", *"a" * 8])
    rows.loc[10, "flow"] = 60.0
    return rows


def test_windows_are_answered_at_their_last_row_and_no_row_before_is_scored(running, windows):
    server, rows = running("--log", "log", model=windows), two_pumps()
    answer = server.client.post("/score", json=rows.to_dict("records"))
    assert answer.status_code == 200, answer.text
    said = pd.DataFrame(answer.json()["rows"])
    waits = [True] * 5 + [False] * 7  # three rows of a, and both of b
    assert (said["verdict"] == "not scored").tolist() == waits
    assert said["score"].isna().tolist() == said["p_value"].isna().tolist() == waits
    assert said["verdict"][10] == "anomaly"
    assert "flow is 60, beyond what training has seen" in said["reasons"][10]
    expected = mlflow.pyfunc.load_model(windows).predict(rows)
    pd.testing.assert_frame_equal(said, expected, check_exact=True)
    by_csv = server.client.post("/score", content=rows.to_csv(index=False), headers={"content-type": "text/csv"})
    assert by_csv.json() == answer.json()
    told = server.client.post("/score", params={"output": "reconstruction"}, json=rows.to_dict("records")).json()
    assert [row["flow"] is None and row["valve"] is None for row in told["rows"]] == waits
    server.desk.log.close()
    kept = pd.concat(parquet.read_table(file).to_pandas() for file in Path("log").iterdir())
    assert kept["score"].isna().tolist() == waits * 2
    assert kept["input.pump"].tolist() == rows["pump"].tolist() * 2


def test_what_no_window_can_be_made_of_is_refused(running, windows):
    client, rows = running(model=windows).client, two_pumps()
    for wrong, reason in (
        (rows.drop(columns="flow"), "Row 0 lacks the column 'flow'"),
        (rows[:3], "looks at 4 rows of a series at once, and the input has fewer: give it more rows"),
        (rows.assign(flow="much"), "row 0, column 'flow': 'much' is no number"),
    ):
        answer = client.post("/score", json=wrong.to_dict("records"))
        assert (answer.status_code, answer.json()["error"].count("\n")) == (400, 0)
        assert reason in answer.json()["error"]


def test_strings_are_answered_in_every_form(running, strings):
    server = running("--log", "log", model=strings)
    expected = mlflow.pyfunc.load_model(strings).predict(MOLECULES).to_dict("records")
    split = {"columns": ["smiles"], "data": [[one] for one in MOLECULES]}
    for body in (MOLECULES, {"records": MOLECULES}, split):
        answer = server.client.post("/score", json=body)
        assert answer.status_code == 200, answer.text
        assert answer.json()["rows"] == expected
    assert server.client.post("/invocations", json={"inputs": MOLECULES}).json()["predictions"] == expected
    codes = server.client.post("/score", params={"output": "latent"}, json=MOLECULES).json()["rows"]
    assert np.shape(codes) == (3, 4)
    told = server.client.post("/score", params={"output": "reconstruction"}, json=MOLECULES).json()["rows"]
    assert [type(one) for one in told] == [str] * 3
    server.desk.log.close()
    kept = pd.concat(parquet.read_table(file).to_pandas() for file in Path("log").iterdir())
    assert kept["input.text"].tolist() == MOLECULES * 4


WRONG = {
    "no molecule": (["CCO", "C(C"], 400, "Row 1 is no valid SMILES ('C(C')"),
    "objects": ([{"smiles": "CCO"}], 400, "Row 0 is an object, and the model takes strings"),
    "two columns": ({"columns": ["smiles", "name"], "data": [["CCO", "x"]]}, 400, "one column of strings, not 2"),
    "too long": (["C" * 31], 400, "Row 0 has 31 tokens"),
    "numbers": ([1, 2], 400, "Row 0 is a number, and the model takes strings"),
}


@pytest.mark.parametrize("mistake", WRONG)
def test_what_is_no_string_of_the_models_is_refused(mistake, running, strings):
    body, status, reason = WRONG[mistake]
    answer = running(model=strings).client.post("/score", json=body)
    assert (answer.status_code, answer.json()["error"].count("\n")) == (status, 0)
    assert reason in answer.json()["error"]


def test_columns_are_none_of_a_model_of_images(running, vae):
    answer = running(model=vae.directory).client.post("/score", json={"columns": ["a"], "data": [[1.0]]})
    assert answer.status_code == 400
    assert "takes no columns: send a list of samples of shape [1, 8, 8]" in answer.json()["error"]


@pytest.mark.parametrize("kind", ["windows", "strings"])
def test_the_api_shows_rows_that_the_model_answers(kind, running, request):
    client = running(model=request.getfixturevalue(kind)).client
    described = client.get("/openapi.json").json()
    shown = {path: described["paths"][path]["post"]["requestBody"]["content"] for path in ("/score", "/invocations")}
    for path, content in shown.items():
        answer = client.post(path, json=content["application/json"]["example"])
        assert answer.status_code == 200, answer.text
    row = described["components"]["schemas"]["Row"]
    assert row == {"type": "string"} if kind == "strings" else "pump" in row["properties"]
    assert json.loads(client.get("/version").text)["data"]
