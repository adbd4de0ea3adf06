"""The packed model inside Spark, as MLflow's user-defined function; needs ``pip install .[spark]`` and Java."""

import importlib.util
import shutil
import sys
from collections.abc import Iterator
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest

from lit_ae.spec import DataSpec
from tests.serving.conftest import raw_rows
from tests.serving.test_verdicts import SCHEMA, WAY, packed, plant

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(importlib.util.find_spec("pyspark") is None, reason="pyspark is not installed"),
    pytest.mark.skipif(shutil.which("java") is None, reason="there is no Java here"),
]
VERDICT = "score double, p_value double, verdict string, reasons string"


@pytest.fixture(scope="module")
def spark() -> Iterator[Any]:
    from pyspark.sql import SparkSession

    patch = pytest.MonkeyPatch()
    patch.setenv("PYSPARK_PYTHON", sys.executable)
    patch.setenv("PYSPARK_DRIVER_PYTHON", sys.executable)
    patch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
    session = (
        SparkSession.builder.master("local[2]")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.shuffle.partitions", "2")
        .getOrCreate()
    )
    yield session
    session.stop()
    patch.undo()


def test_verdicts_are_those_of_the_model_alone(spark, tmp_path):
    from pyspark.sql import functions

    spec = DataSpec("Plant", "table", (WAY.features,), WAY, schema=SCHEMA)
    _, directory = packed(spec, tmp_path, 2, lambda n, seed: WAY.apply(SCHEMA.encode(plant(n, seed))))
    rows = plant(700, 8)
    rows.loc[[3, 40], "flow"] = [9.0, np.nan]
    rows.loc[5, "valve"] = None
    expected = mlflow.pyfunc.load_model(directory).predict(rows)
    scored = mlflow.pyfunc.spark_udf(spark, directory, result_type=VERDICT, env_manager="local")
    frame = spark.createDataFrame(rows.assign(row=range(len(rows)))).repartition(3)
    asked = functions.struct(*reversed(SCHEMA.names))
    found = frame.withColumn("said", scored(asked)).select("row", "said.*").toPandas()
    found = found.sort_values("row", ignore_index=True).drop(columns="row")
    np.testing.assert_allclose(found["score"], expected["score"], rtol=np.finfo(np.float32).eps)
    np.testing.assert_allclose(found["p_value"], expected["p_value"], rtol=np.finfo(np.float32).eps)
    pd.testing.assert_frame_equal(found[["verdict", "reasons"]], expected[["verdict", "reasons"]], check_dtype=False)
    assert (expected["verdict"] == "anomaly").any()


def test_codes_of_images_are_those_of_the_model_alone(spark, vae):
    raw = raw_rows(vae.model, 20)
    scored = mlflow.pyfunc.spark_udf(
        spark, str(vae.directory), result_type="array<float>", env_manager="local", params={"output": "latent"}
    )
    rows = spark.createDataFrame([(at, row.ravel().tolist()) for at, row in enumerate(raw)], ["row", "pixels"])
    found = rows.withColumn("codes", scored("pixels")).toPandas().sort_values("row")
    np.testing.assert_allclose(np.stack(found["codes"]), vae.in_memory(raw)["latent"], rtol=1e-6, atol=1e-6)
