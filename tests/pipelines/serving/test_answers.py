"""What a server answers: every form of request and output, and one sentence for what is wrong."""

import io
import json
import logging

import mlflow
import numpy as np
import pandas as pd
import pytest

from pipelines.serving import batches
from tests.serving.conftest import raw_rows

NAMES = ["score", "p_value", "verdict", "reasons"]


@pytest.fixture
def expected(plants, rows) -> list[dict]:
    return mlflow.pyfunc.load_model(str(plants.first)).predict(rows).to_dict("records")


def split(rows: pd.DataFrame) -> dict:
    return {key: value for key, value in rows.to_dict("split").items() if key != "index"}


def parquet(rows: pd.DataFrame) -> bytes:
    body = io.BytesIO()
    rows.to_parquet(body)
    return body.getvalue()


FORMS = {
    "a list": lambda rows: {"json": rows.to_dict("records")},
    "records": lambda rows: {"json": {"records": rows.to_dict("records")}},
    "split": lambda rows: {"json": split(rows)},
    "csv": lambda rows: {"content": rows.to_csv(index=False), "headers": {"content-type": "text/csv; charset=utf-8"}},
    "parquet": lambda rows: {
        "content": parquet(rows),
        "headers": {"content-type": "application/vnd.apache.parquet"},
    },
}


@pytest.mark.parametrize("form", FORMS)
def test_each_form_of_rows_gets_the_models_verdicts(form, running, rows, expected):
    turned = rows[["valve", "flow", "pressure"]].assign(note="left aside")
    answer = running().client.post("/score", **FORMS[form](turned))
    assert answer.status_code == 200, answer.text
    assert answer.json() == {"model_version": "model", "output": "verdict", "rows": expected}
    assert expected[2]["verdict"] == "anomaly"
    assert "flow" in expected[2]["reasons"]


def test_mlflows_clients_need_no_change(running, rows, expected):
    client = running().client
    for body in ({"dataframe_split": split(rows)}, {"dataframe_records": rows.to_dict("records")}):
        answer = client.post("/invocations", json=body)
        assert answer.status_code == 200, answer.text
        assert answer.json() == {"predictions": expected}
    by_csv = client.post("/invocations", content=rows.to_csv(index=False), headers={"content-type": "text/csv"})
    assert by_csv.json() == {"predictions": expected}
    codes = client.post("/invocations", json={"dataframe_split": split(rows), "params": {"output": "latent"}})
    assert np.shape(codes.json()["predictions"]) == (3, 2)
    assert client.get("/ping").status_code == 200


def test_other_outputs(running, rows, plants):
    client, model = running().client, mlflow.pyfunc.load_model(str(plants.first))
    for output in ("reconstruction", "latent", "error"):
        answer = client.post("/score", params={"output": output}, json=rows.to_dict("records")).json()
        told = model.predict(rows, params={"output": output})
        told = told.to_dict("records") if isinstance(told, pd.DataFrame) else told.tolist()
        assert (answer["output"], answer["rows"]) == (output, told)


def test_models_of_tensors_without_a_detector(running, vae):
    client, raw = running(model=vae.directory).client, raw_rows(vae.model, 3)
    expected = vae.in_memory(raw)
    for output in (None, "latent", "error", "sample"):
        asked = {"params": {"output": output}} if output else {}
        answer = client.post("/score", json=raw.tolist(), **asked)
        assert answer.status_code == 200, answer.text
        assert np.allclose(answer.json()["rows"], expected[output or "reconstruction"], rtol=1e-6, atol=1e-5)
    refused = client.post("/score", params={"output": "verdict"}, json=raw.tolist())
    assert (refused.status_code, "has no detector" in refused.json()["error"]) == (400, True)


def test_missing_values_and_unseen_categories_are_taken(running, rows):
    some = [{"pressure": None, "flow": 1, "valve": "half"}, {"pressure": 2.0, "flow": None, "valve": None}]
    answer = running().client.post("/score", json=some)
    assert answer.status_code == 200, answer.text
    assert [sorted(row) for row in answer.json()["rows"]] == [sorted(NAMES)] * 2


def changed(rows: pd.DataFrame, at: int, **values) -> list[dict]:
    records = rows.to_dict("records")
    records[at] |= values
    return records


MISTAKES = {
    "text among numbers": (lambda r: {"json": changed(r, 1, flow="much")}, "row 1, column 'flow'"),
    "numbers among text": (lambda r: {"json": [row | {"valve": 3} for row in r.to_dict("records")]}, "takes text"),
    "infinite": (lambda r: {"content": json.dumps(changed(r, 2, flow=float("inf")))}, "infinite"),
    "no column": (lambda r: {"json": r[["flow", "valve"]].to_dict("records")}, "Row 0 lacks the column 'pressure'"),
    "split without": (lambda r: {"json": split(r[["flow", "valve"]])}, "lacks the column"),
    "twice": (lambda r: {"json": {"columns": ["flow", "flow"], "data": [[1, 2]]}}, "'flow' twice"),
    "ragged": (lambda r: {"json": {"columns": ["a", "b"], "data": [[1]]}}, "a list of 2 values"),
    "no object": (lambda r: {"json": [1, 2]}, "Row 0 is a number"),
    "nested": (lambda r: {"json": changed(r, 0, flow={"a": [1]})}, "column 'flow'"),
    "huge": (lambda r: {"content": json.dumps(changed(r, 0, flow=10**400))}, "flow"),
    "no rows": (lambda r: {"json": []}, "has no rows"),
    "no list": (lambda r: {"json": {"rows": 3}}, "holds no rows"),
    "no JSON": (lambda r: {"content": "{"}, "no JSON"),
    "deep": (lambda r: {"content": "[" * 100_000}, "no JSON"),
    "no text": (lambda r: {"content": b"\xff\xfe\x00"}, "no JSON"),
    "output": (lambda r: {"json": [], "params": {"output": "codes"}}, "The option output is wrong"),
    "seed": (lambda r: {"json": [], "params": {"seed": "-1"}}, "The option seed is wrong"),
    "csv": (lambda r: {"content": "flow,pressure\n1\n", "headers": {"content-type": "text/csv"}}, "no CSV"),
    "csv's text": (
        lambda r: {"content": "flow,pressure,valve\nx,1,open\n", "headers": {"content-type": "text/csv"}},
        "no CSV",
    ),
    "parquet": (
        lambda r: {"content": b"PAR1", "headers": {"content-type": "application/vnd.apache.parquet"}},
        "no Parquet file",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_answered_by_400_and_one_sentence(mistake, running, rows):
    question, reason = MISTAKES[mistake]
    answer = running().client.post("/score", **question(rows))
    assert answer.status_code == 400, answer.text
    assert reason in answer.json()["error"]
    assert "\n" not in answer.json()["error"]
    assert "Traceback" not in answer.text


def test_mistakes_in_mlflows_protocol(running, rows):
    client = running().client
    for body, reason in (
        ({"dataframe_split": split(rows[["flow"]])}, "lacks the column(s) 'pressure', 'valve'"),
        ({"rows": []}, "exactly one of the input fields"),
        ({"dataframe_split": split(rows), "params": {"output": "codes"}}, "output must be one of"),
    ):
        answer = client.post("/invocations", json=body)
        assert answer.status_code == 400, answer.text
        assert reason in answer.json()["error"]
        assert "Traceback" not in answer.text
    assert client.post("/invocations", content="x", headers={"content-type": "text/xml"}).status_code == 415


def test_addresses_and_types_that_nobody_knows(running):
    client = running().client
    assert client.get("/nowhere").status_code == 404
    assert client.get("/score").status_code == 405
    assert client.post("/score", content="x", headers={"content-type": "image/png"}).status_code == 415


def test_the_api_describes_the_models_own_columns(running, rows, expected):
    client = running().client
    described = client.get("/openapi.json").json()
    row = described["components"]["schemas"]["Row"]
    assert row["required"] == ["pressure", "flow", "valve"]
    assert row["properties"]["pressure"]["type"] == ["number", "null"]
    assert "open, shut" in row["properties"]["valve"]["description"]
    asked = described["paths"]["/score"]["post"]["requestBody"]["content"]
    assert set(asked) == {"application/json", "text/csv", "application/vnd.apache.parquet"}
    assert client.post("/score", json=asked["application/json"]["example"]).status_code == 200
    by_csv = client.post("/score", content=asked["text/csv"]["example"], headers={"content-type": "text/csv"})
    assert by_csv.status_code == 200
    mlflows = described["paths"]["/invocations"]["post"]["requestBody"]["content"]["application/json"]["example"]
    assert client.post("/invocations", json=mlflows).status_code == 200
    assert set(described["paths"]) >= {"/score", "/invocations", "/health", "/ready", "/metrics", "/version", "/reload"}
    assert client.get("/docs").status_code == 200


def test_a_failure_of_the_server_is_logged_and_not_shown(running, rows, monkeypatch, caplog):
    server = running()
    monkeypatch.setattr(batches, "all_done", lambda tasks: [RuntimeError("inner secret")] * len(tasks))
    answer = server.client.post("/score", json=rows.to_dict("records"), headers={"x-request-id": "a-1"})
    assert (answer.status_code, answer.json()["request_id"]) == (500, "a-1")
    assert "secret" not in answer.text
    failures = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert failures[0].facts["request_id"] == "a-1"
    assert "inner secret" in str(failures[0].exc_info[1])


def test_waiting_requests_go_through_the_model_together_and_fail_alone(running, rows, expected, plants):
    desk = running().desk
    from functools import partial

    from pipelines.serving.answers import written_score
    from pipelines.serving.bodies import Refused, read_score

    read = partial(read_score, content_type="application/json", params={}, most_rows=100)
    bodies = [json.dumps(rows.to_dict("records")), "[]", json.dumps(rows[2:].to_dict("records"))]
    done = batches.all_done([batches.Task(desk.keeper.current, body.encode(), read, written_score) for body in bodies])
    assert json.loads(done[0].written)["rows"] == expected
    assert isinstance(done[1], Refused)
    assert json.loads(done[2].written)["rows"] == expected[2:]


def test_not_scored_rows_are_null(running):
    from pipelines.serving.answers import plain

    frame = pd.DataFrame({"score": [1.0, np.nan], "verdict": ["normal", "not scored"]})
    assert plain(frame) == [{"score": 1.0, "verdict": "normal"}, {"score": None, "verdict": "not scored"}]
