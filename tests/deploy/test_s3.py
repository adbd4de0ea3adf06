"""Artefacts in a store that speaks S3: the tracking server alone has its keys."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator

import pandas as pd
import pytest

from tests.deploy.conftest import Production, clean, wait_for_health
from tests.deploy.test_compose import SERVICES
from tests.deploy.test_production import ROWS, run_of
from tests.postgresql import free_port

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
KEYS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1"}


@pytest.fixture
def store(tmp_path) -> Iterator[dict[str, str]]:
    """What the tracking server must know of a store whose bucket was made as compose.yaml makes it."""
    pytest.importorskip("boto3", reason="S3 needs boto3: pip install '.[server]'")
    program = shutil.which("moto_server")
    if program is None:
        pytest.skip("there is no store that speaks S3: pip install 'moto[server]'")
    address = f"http://127.0.0.1:{(port := free_port())}"
    log = tmp_path / "store.log"
    with log.open("w") as file:
        process = subprocess.Popen([program, "-p", str(port)], stdout=file, stderr=file, env=dict(os.environ))
    try:
        wait_for_health(f"{address}/moto-api/", process, log)
        settings = KEYS | {"AWS_ENDPOINT_URL_S3": address}
        _, *words = SERVICES["bucket"]["command"]
        for _ in range(2):  # a second start finds the bucket there
            subprocess.run([sys.executable, *words], env=clean() | settings, check=True)
        yield settings
    finally:
        process.terminate()
        process.wait()


@pytest.fixture
def kept_in_s3(_production, store) -> Iterator[Production]:
    """The tracking server before that store, and afterwards before its folder again."""
    _production.stop()
    _production.start(**store, MLFLOW_ARTIFACTS_DESTINATION="s3://mlflow/artifacts")
    yield _production
    _production.stop()
    _production.start()


def test_artefacts_go_through_the_tracking_server(kept_in_s3, store) -> None:
    import boto3

    training = kept_in_s3.run("trainer", "pipelines.train", "--config", "sensors.yaml")
    assert training.code == 0, training.err
    run_id = run_of(training)
    pd.DataFrame(ROWS).to_csv(kept_in_s3.folder / "scorer" / "rows.csv", index=False)
    scoring = kept_in_s3.run("scorer", "pipelines.score", run_id, "rows.csv", "scored.csv")
    assert scoring.code == 0, scoring.err
    assert len(pd.read_csv(kept_in_s3.folder / "scorer" / "scored.csv")) == len(ROWS)
    names = {name.lower(): value for name, value in KEYS.items() if name != "AWS_DEFAULT_REGION"}
    client = boto3.client("s3", endpoint_url=store["AWS_ENDPOINT_URL_S3"], region_name="us-east-1", **names)
    pages = client.get_paginator("list_objects_v2").paginate(Bucket="mlflow")
    objects = [one["Key"] for page in pages for one in page["Contents"]]
    assert f"artifacts/1/{run_id}/artifacts/config.yaml" in objects
    assert [key for key in objects if re.search(r"models/m-\w+/artifacts/data/autoencoder/.*safetensors$", key)]
