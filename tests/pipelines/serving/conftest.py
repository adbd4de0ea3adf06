"""Two small models of one table, and a server of one of them in this process."""

import argparse
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pytest
from fastapi.testclient import TestClient
from mlflow import MlflowClient

from lit_ae.serving.files import DESCRIPTION
from lit_ae.serving.integrity import seal, seal_package
from lit_ae.spec import DataSpec
from pipelines.models import INSIDE
from pipelines.serve import Serving, read
from pipelines.serving.app import Desk, application
from pipelines.serving.figures import Figures
from pipelines.serving.keeper import Keeper
from pipelines.serving.row_log import RowLog
from tests.serving import conftest as packed_models
from tests.serving.test_verdicts import SCHEMA, WAY, packed, plant

vae = packed_models.vae  # a model of images without a detector


class Plants(NamedTuple):
    """Two packed models of the same columns, which score differently, and one that lacks a column."""

    first: Path
    second: Path
    other: Path


def features(rows: int, seed: int):
    return WAY.apply(SCHEMA.encode(plant(rows, seed)))


@pytest.fixture(scope="session")
def plants(tmp_path_factory) -> Plants:
    spec = DataSpec("Plant", "table", (WAY.features,), WAY, schema=SCHEMA)
    folders = [tmp_path_factory.mktemp(name) for name in ("first", "second", "other")]
    first, second = (
        packed(spec, folder, 1, lambda n, seed, by=by: features(n, seed + 10 * by))[1]
        for by, folder in enumerate(folders[:2])
    )
    shutil.copytree(second, folders[2] / "model")
    rename_column(folders[2] / "model" / INSIDE)
    return Plants(Path(first), Path(second), folders[2] / "model")


def rename_column(model: Path) -> None:
    """Makes a sound model of other columns of it."""
    described = json.loads((model / DESCRIPTION).read_text())
    described["spec"]["schema"]["columns"][1]["name"] = "current"
    (model / DESCRIPTION).write_text(json.dumps(described))
    packed = model.parents[len(INSIDE.parts) - 1]
    for example in packed.glob("*input_example.json"):
        example.write_text(example.read_text().replace('"flow"', '"current"'))
    seal(model)
    seal_package(packed)


@pytest.fixture(scope="session")
def rows() -> pd.DataFrame:
    """Three rows as a user writes them; the last is no normal one."""
    return pd.DataFrame({"pressure": [5.0, 2.5, 8.0], "flow": [5.0, 1.0, 2.0], "valve": ["open", "shut", "open"]})


class Running(NamedTuple):
    """A server in this process: what clients see, and what is behind it."""

    client: TestClient
    desk: Desk


@pytest.fixture
def running(plants, workspace) -> Iterator[Callable[..., Running]]:
    """Starts a server: ``running("--max_rows", 5, model=..., key=...)``."""
    with ExitStack() as stack:

        def start(*words: object, model: object = plants.first, key: bytes | None = None) -> Running:
            asked = read([str(model), "--poll", "0", *map(str, words)])
            desk = desk_of(asked)
            client = TestClient(application(desk, key), raise_server_exceptions=False)
            return Running(stack.enter_context(client), desk)

        yield start


def desk_of(asked: Serving | argparse.Namespace) -> Desk:
    figures = Figures()
    log = RowLog(asked.log, asked.log_rows, asked.log_seconds, figures) if asked.log else None
    return Desk(asked, Keeper(asked.model, asked.output_dir, asked.device, figures), figures, log)


@pytest.fixture
def registered(store, plants) -> MlflowClient:
    """A store with the model ``plant``: version 1 and 2 are the two, 3 is of other columns; the first is champion."""
    store.create_registered_model("plant")
    for model in (plants.first, plants.second, plants.other):
        store.create_model_version("plant", str(model))
    store.set_registered_model_alias("plant", "champion", "1")
    return store
