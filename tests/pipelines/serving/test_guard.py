"""Limits, the key, request ids, logs, figures, and the log of scored rows."""

import asyncio
import json
import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as parquet
import pytest

from lit_ae.errors import UserError
from pipelines.serve import api_key
from pipelines.serving import batches, row_log
from pipelines.serving.figures import Figures
from pipelines.serving.logs import JsonLines
from pipelines.serving.row_log import RowLog


def figures_of(running) -> dict[str, float]:
    lines = [line for line in running.client.get("/metrics").text.splitlines() if not line.startswith("#")]
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines}


@pytest.fixture
def slow(monkeypatch) -> threading.Event:
    """Models that answer when the event is set."""
    event, at_once = threading.Event(), batches.all_done

    def waiting(tasks):
        event.wait(10)
        return at_once(tasks)

    monkeypatch.setattr(batches, "all_done", waiting)
    return event


def test_too_many_rows_or_bytes_are_413(running, rows):
    client = running("--max_rows", 3, "--max_bytes", 400).client
    records = rows.to_dict("records")
    assert client.post("/score", json=records).status_code == 200
    for answer in (
        client.post("/score", json=[*records, records[0]]),
        client.post(
            "/score", content=(rows.loc[[0, 0, 1, 2]]).to_csv(index=False), headers={"content-type": "text/csv"}
        ),
        client.post("/invocations", json={"dataframe_split": {"columns": ["flow"], "data": [[1]] * 4}}),
    ):
        assert (answer.status_code, "takes 3 at once" in answer.json()["error"]) == (413, True), answer.text
    announced = client.post("/score", content=b" " * 401)
    streamed = client.post("/score", content=(b" " * 100 for _ in range(5)))
    for answer in (announced, streamed):
        assert (answer.status_code, "more than 400 bytes" in answer.json()["error"]) == (413, True)


def test_too_slow_is_503_and_so_is_too_much_at_once(running, rows, slow):
    server = running("--max_seconds", 0.5, "--max_waiting", 2)
    with ThreadPoolExecutor(3) as clients:
        asked = [clients.submit(server.client.post, "/score", json=rows.to_dict("records")) for _ in range(3)]
        answers = [one.result() for one in asked]
    assert [answer.status_code for answer in answers] == [503] * 3
    assert all(answer.headers["retry-after"] == "1" for answer in answers)
    assert sorted("under way already" in answer.json()["error"] for answer in answers) == [False, False, True]
    slow.set()
    assert server.client.post("/score", json=rows.to_dict("records")).status_code == 200
    assert figures_of(server)["lit_ae_requests_under_way"] == 0.0


def test_a_key_is_asked_of_everyone_but_those_who_watch(running, rows, caplog):
    client = running(key=b"open-sesame").client
    ask = lambda headers: client.post("/score", json=rows.to_dict("records"), headers=headers)  # noqa: E731
    assert ask({"authorization": "Bearer open-sesame"}).status_code == 200
    assert ask({"x-api-key": "open-sesame"}).status_code == 200
    for headers in ({}, {"x-api-key": "open"}, {"authorization": "Bearer "}, {"authorization": "Basic open-sesame"}):
        refused = ask(headers)
        assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
    assert [client.get(path).status_code for path in ("/health", "/ready", "/metrics", "/version")] == [200] * 4
    assert [client.post(path).status_code for path in ("/invocations", "/reload")] == [401, 401]
    assert client.get("/openapi.json").status_code == 401
    assert "sesame" not in " ".join(JsonLines().format(record) for record in caplog.records)


@pytest.mark.parametrize("content", ["", "  \n", "two words", "schlüssel"])
def test_an_empty_or_odd_key_is_refused(content, tmp_path, monkeypatch):
    (tmp_path / "key").write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match="holds no API key"):
        api_key(tmp_path / "key")
    monkeypatch.setenv("LIT_AE_API_KEY", content)
    with pytest.raises(UserError, match="LIT_AE_API_KEY holds no API key"):
        api_key(None)


def test_a_key_is_read_from_file_or_environment(tmp_path, monkeypatch):
    assert api_key(None) is None
    (tmp_path / "key").write_text("from-file\n")
    monkeypatch.setenv("LIT_AE_API_KEY", "from-environment")
    assert (api_key(None), api_key(tmp_path / "key")) == (b"from-environment", b"from-file")
    with pytest.raises(UserError, match="can't be read"):
        api_key(tmp_path / "nowhere")


def test_requests_keep_their_id_and_are_logged(running, rows, caplog):
    caplog.set_level(logging.INFO)
    client = running().client
    given = client.post("/score", json=rows.to_dict("records"), headers={"x-request-id": "order-7"})
    made = client.post("/score", json=[], headers={"x-request-id": 'no "id"\tat all'})
    assert given.headers["x-request-id"] == "order-7"
    assert len(made.headers["x-request-id"]) == 32
    first, second = [json.loads(JsonLines().format(r)) for r in caplog.records if r.getMessage() == "request"]
    assert first | {"ms": 0, "time": 0, "bytes": 0} == {
        "time": 0, "level": "info", "event": "request", "request_id": "order-7", "method": "POST", "path": "/score",
        "status": 200, "ms": 0, "bytes": 0, "rows": 3, "output": "verdict", "model_version": "model",
    }  # fmt: skip
    assert 0 < first["ms"] < 10_000
    assert (second["status"], "no rows" in second["reason"]) == (400, True)


def test_figures_for_prometheus(running, rows):
    server = running()
    server.client.post("/score", json=rows.to_dict("records"))
    server.client.post("/score", json=[])
    found = figures_of(server)
    assert found['lit_ae_requests_total{path="/score",status="200"}'] == 1
    assert found['lit_ae_requests_total{path="/score",status="400"}'] == 1
    assert found['lit_ae_rows_total{output="verdict"}'] == 3
    assert found['lit_ae_verdicts_total{verdict="anomaly"}'] == 1
    assert found['lit_ae_request_seconds_count{path="/score"}'] == 2
    assert found['lit_ae_reloads_total{outcome="taken"}'] == 0
    assert [value for name, value in found.items() if name.startswith("lit_ae_model_info")] == [1.0]


def test_the_log_holds_rows_answers_and_inputs(running, rows, plants):
    server = running("--log", "log", "--log_rows", 4)
    some = rows.assign(pressure=[5.0, None, 8.0], valve=["open", "half", None])
    for number in range(2):
        records = json.loads(some.to_json(orient="records"))
        answer = server.client.post("/score", json=records, headers={"x-request-id": f"r{number}"})
    server.desk.log.close()
    (file,) = Path("log").iterdir()
    table = parquet.read_table(file)
    assert str(table.schema.field("time").type) == "timestamp[us, tz=UTC]"
    told = table.to_pandas()
    assert list(told) == ["time", "request_id", "model_version", "row", "score", "p_value", "verdict", "reasons",
                          "input.pressure", "input.flow", "input.valve"]  # fmt: skip
    assert told["row"].tolist() == [0, 1, 2] * 2
    assert told["request_id"].tolist() == ["r0"] * 3 + ["r1"] * 3
    assert set(told["model_version"]) == {"model"}
    np.testing.assert_array_equal(told["score"][3:], [row["score"] for row in answer.json()["rows"]])
    np.testing.assert_array_equal(told["input.pressure"], [5.0, np.nan, 8.0] * 2)
    assert table["input.valve"].to_pylist() == ["open", "half", None] * 2
    assert abs(told["time"][0] - pd.Timestamp.now("UTC")) < pd.Timedelta("1min")
    assert figures_of(server)["lit_ae_logged_rows_total"] == 6


def test_rows_are_written_after_some_seconds(running, rows):
    server = running("--log", "log", "--log_seconds", 0.1)
    server.client.post("/score", json=rows.to_dict("records"))
    deadline = time.monotonic() + 10
    while not list(Path("log").glob("*.parquet")) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert len(pd.read_parquet("log")) == 3


def test_a_full_disk_costs_rows_of_the_log_and_no_answer(running, rows, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    server = running("--log", "log", "--log_rows", 3, "--log_seconds", 0.05)
    with monkeypatch.context() as disk:
        disk.setattr(row_log.parquet, "write_table", full)
        for _ in range(12):
            assert server.client.post("/score", json=rows.to_dict("records")).status_code == 200
        found = figures_of(server)
    assert found["lit_ae_lost_log_rows_total"] == 6
    assert found["lit_ae_log_failures_total"] >= 1
    server.desk.log.close()
    assert len(pd.read_parquet("log")) == 30
    assert all(file.suffix == ".parquet" for file in Path("log").iterdir())


def test_a_log_that_cannot_be_written_is_refused(workspace):
    Path("log").write_text("a file")
    with pytest.raises(UserError, match="--log log can't be written"):
        RowLog(Path("log"), 10, 1.0, Figures())


def test_a_client_that_leaves_is_no_failure(running, caplog):
    from pipelines.serving.app import application

    app = application(running().desk, None)
    left = iter([{"type": "http.request", "body": b"[", "more_body": True}, {"type": "http.disconnect"}])
    sent: list[dict] = []

    async def receive():
        return next(left)

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/score", "headers": [], "query_string": b"", "root_path": ""}
    asyncio.run(app(scope, receive, send))
    assert sent[0]["status"] == 400
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
