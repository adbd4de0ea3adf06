"""What a server answers: ``mlflow models serve`` and ``predict``, and MLflow's own handler of a request."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import mlflow
import numpy as np
import pytest
import requests
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import scoring_server

from lit_ae.spec import DataSpec
from tests.serving.conftest import raw_rows
from tests.serving.test_verdicts import SCHEMA, WAY, packed, plant

JSON = {"Content-Type": "application/json"}


def handled(packed, question):
    """Status and body, as the server gives them."""
    body = question if isinstance(question, str) else json.dumps(question)
    model = packed.loaded
    try:
        answer = scoring_server.invocations(body, "application/json", model, model.metadata.get_input_schema())
    except MlflowException as refused:
        return refused.get_http_status_code(), json.loads(refused.serialize_as_json())
    return answer.status, json.loads(answer.response)


def test_every_output_can_be_asked_for(vae):
    raw = raw_rows(vae.model, 5)
    for output, expected in vae.in_memory(raw).items():
        status, answer = handled(vae, {"inputs": raw.tolist(), "params": {"output": output}})
        assert status == 200
        assert np.allclose(answer["predictions"], expected, rtol=1e-6, atol=1e-5)


def changed(raw, value):
    raw = raw.tolist()
    raw[1][0][0][0] = value
    return {"inputs": raw}


MISTAKES = {
    "shape": (lambda raw: {"inputs": raw[:, :, :4].tolist()}, r"Shape of input \(2, 1, 4, 8\)"),
    "dimensions": (lambda raw: {"inputs": raw[0, 0].tolist()}, r"Shape of input \(8, 8\)"),
    "ragged": (lambda raw: {"inputs": [[1, 2], [3]]}, "inhomogeneous shape"),
    "text": (lambda raw: changed(raw, "dark"), "could not convert string to float: 'dark'"),
    "null": (lambda raw: changed(raw, None), "row 1 holds NaN"),
    "nan": (lambda raw: changed(raw, float("nan")), "row 1 holds NaN"),
    "infinite": (lambda raw: changed(raw, float("inf")), "row 1 holds NaN or an infinite one"),
    "output": (lambda raw: {"inputs": raw.tolist(), "params": {"output": "codes"}}, "output must be one of .*'codes'"),
    "output's type": (lambda raw: {"inputs": raw.tolist(), "params": {"output": 3}}, "'output': string"),
    "seed's type": (lambda raw: {"inputs": raw.tolist(), "params": {"seed": "a"}}, "'seed': long"),
    "seed": (
        lambda raw: {"inputs": raw.tolist(), "params": {"output": "sample", "seed": 2**80}},
        "seed must lie between 0 and",
    ),
    "no inputs": (lambda raw: {"rows": raw.tolist()}, "exactly one of the input fields"),
    "not JSON": (lambda raw: "{", "valid JSON"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
@pytest.mark.filterwarnings("ignore:overflow encountered in cast")
def test_a_mistake_is_answered_by_status_400_and_its_reason(vae, mistake):
    question, reason = MISTAKES[mistake]
    status, answer = handled(vae, question(raw_rows(vae.model, 2)))
    assert status == 400
    assert "stack_trace" not in answer
    assert pytest.raises(AssertionError, match=reason).matches(AssertionError(answer["message"]))


def test_samples_of_a_model_without_prior_are_refused(autoencoder):
    question = {"inputs": raw_rows(autoencoder.model, 1).tolist(), "params": {"output": "sample"}}
    status, answer = handled(autoencoder, question)
    assert status == 400
    assert "Autoencoder has no prior to sample from" in answer["message"]


def environment():
    """That of an activated environment; no PYTHONPATH, so that the model's own code is found or none."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return {**kept, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"}


@contextmanager
def served(directory, workspace):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-P", "-m", "mlflow", "models", "serve", "--env-manager", "local"]
    server = subprocess.Popen(
        [*command, "-m", str(directory), "-p", str(port)], cwd=workspace, env=environment(), start_new_session=True
    )
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(20)


def wait_for(address):
    for _ in range(90):
        try:
            return requests.get(f"{address}/ping", timeout=2).raise_for_status()
        except requests.RequestException:
            time.sleep(1)
    raise TimeoutError(address)


@pytest.mark.slow
def test_a_real_server_answers_and_refuses(vae, workspace):
    raw = raw_rows(vae.model, 3)
    with served(vae.directory, workspace) as address:
        wait_for(address)
        for output, expected in vae.in_memory(raw).items():
            question = {"inputs": raw.tolist(), "params": {"output": output}}
            answer = requests.post(f"{address}/invocations", json=question, timeout=30)
            assert answer.status_code == 200, answer.text
            assert np.allclose(answer.json()["predictions"], expected, rtol=1e-6, atol=1e-5)
        for mistake in ("shape", "text", "nan", "output", "seed"):
            question, _ = MISTAKES[mistake]
            body = json.dumps(question(raw[:2]))
            refused = requests.post(f"{address}/invocations", data=body, headers=JSON, timeout=30)
            assert refused.status_code == 400, refused.text
            assert "Traceback" not in refused.text


@pytest.mark.slow
def test_the_champion_of_a_registered_name_answers_with_verdicts(workspace, tmp_path_factory):
    spec = DataSpec("Plant", "table", (WAY.features,), WAY, schema=SCHEMA)
    rows = plant(50, 8).replace({"flow": {plant(50, 8)["flow"][7]: 9.0}})
    _, directory = packed(
        spec, tmp_path_factory.mktemp("plant"), 1, lambda n, seed: WAY.apply(SCHEMA.encode(plant(n, seed)))
    )
    client = MlflowClient()
    client.create_registered_model("plant")
    client.set_registered_model_alias("plant", "champion", client.create_model_version("plant", directory).version)
    with served("models:/plant@champion", workspace) as address:
        wait_for(address)
        question = {"dataframe_split": rows.to_dict("split")}
        answer = requests.post(f"{address}/invocations", json=question, timeout=30)
    assert answer.status_code == 200, answer.text
    expected = mlflow.pyfunc.load_model(directory).predict(rows)
    assert answer.json()["predictions"] == expected.to_dict("records")
    assert list(expected) == ["score", "p_value", "verdict", "reasons"]
    assert expected["verdict"][7] == "anomaly"
    assert "flow" in expected["reasons"][7]


@pytest.mark.slow
def test_mlflow_models_predict_answers_a_file(vae, workspace):
    raw = raw_rows(vae.model, 3)
    (workspace / "rows.json").write_text(json.dumps({"inputs": raw.tolist(), "params": {"output": "latent"}}))
    command = [sys.executable, "-P", "-m", "mlflow", "models", "predict", "--env-manager", "local"]
    subprocess.run(
        [*command, "-m", str(vae.directory), "-i", "rows.json", "-o", "codes.json"],
        cwd=workspace, env=environment(), check=True, capture_output=True, timeout=110,
    )  # fmt: skip
    codes = json.loads((workspace / "codes.json").read_text())["predictions"]
    assert np.allclose(codes, vae.in_memory(raw)["latent"], atol=1e-6)
