"""What a packed model is made of: plain files, written whole or not at all."""

import json
import logging
import re
import warnings
from importlib.metadata import version

import mlflow
import numpy as np
import pytest
import torch
import yaml
from mlflow.models import Model, convert_input_example_to_serving_input

from lit_ae.serving.package import package
from tests.serving.conftest import raw_rows

FILES = {
    "MLmodel",
    "conda.yaml",
    "data/autoencoder/hashes.json",
    "data/autoencoder/model.json",
    "data/autoencoder/weights.safetensors",
    "hashes.json",
    "input_example.json",
    "python_env.yaml",
    "requirements.txt",
    "serving_input_example.json",
}


def files_of(directory):
    """Those that packing wrote; Python's own caches come with the first import."""
    files = {str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file()}
    return {name for name in files if "__pycache__" not in name}


def test_it_holds_weights_json_and_its_own_code_and_no_pickle(packed):
    files = files_of(packed.directory)
    code = {name for name in files if name.startswith("code/lit_ae/")}
    assert files - code == FILES
    assert all(name.endswith(".py") for name in code)
    assert "code/lit_ae/serving/scorer.py" in code
    flavors = yaml.safe_load((packed.directory / "MLmodel").read_text())["flavors"]
    assert set(flavors) == {"python_function"}
    assert "python_model" not in flavors["python_function"]
    assert "cloudpickle_version" not in flavors["python_function"]


def test_no_file_names_the_place_where_it_was_made(packed):
    described = {path.name: path.read_text() for path in packed.directory.glob("*") if path.is_file()}
    described["model.json"] = (packed.directory / "data/autoencoder/model.json").read_text()
    assert [name for name, text in described.items() if re.search(r"/(tmp|home|root|work)/", text)] == []


def test_its_description_is_whole(packed):
    described = Model.load(str(packed.directory))
    shape = described.signature.inputs.inputs[0].shape
    assert shape == (-1, *packed.model.spec.shape)
    assert {param.name: param.default for param in described.signature.params} == {
        "output": "reconstruction",
        "seed": 0,
    }
    assert described.metadata == {"variant": type(packed.model).__name__}


def test_requirements_are_pinned_to_what_is_installed(vae):
    lines = (vae.directory / "requirements.txt").read_text().split()
    pins = dict(line.split("==") for line in lines)
    assert {name.partition("[")[0] for name in pins} == {
        "mlflow", "torch", "lightning", "torchmetrics", "jsonargparse", "numpy", "pandas", "safetensors",
    }  # fmt: skip
    assert all(pin == version(name.partition("[")[0]).split("+")[0] for name, pin in pins.items())


def test_its_example_is_rows_of_the_user_and_is_answered(packed):
    example = packed.loaded.input_example
    assert np.array_equal(example, raw_rows(packed.model, 3))
    asked = json.loads((packed.directory / "serving_input_example.json").read_text())
    assert asked == json.loads(convert_input_example_to_serving_input(example))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*validate_serving_input.*")
        answer = mlflow.models.validate_serving_input(str(packed.directory), asked)
    assert np.allclose(answer, packed.in_memory(example)["reconstruction"], atol=1e-4)


def test_packing_says_nothing(vae, tmp_path, capfd, caplog):
    with warnings.catch_warnings(), caplog.at_level(logging.INFO):
        warnings.simplefilter("error")
        package(vae.model, raw_rows(vae.model, 3), tmp_path / "model", {})
    assert capfd.readouterr() == ("", "")
    assert caplog.records == []


def test_packing_leaves_the_log_levels_as_they_were(vae, tmp_path):
    logger = logging.getLogger("mlflow")
    before = logger.level
    package(vae.model, raw_rows(vae.model, 3), tmp_path / "model", {})
    assert logger.level == before


def test_a_new_model_takes_the_place_of_an_old_one(vae, tmp_path):
    directory = tmp_path / "deep" / "model"
    directory.mkdir(parents=True)
    (directory / "stale.txt").write_text("old")
    package(vae.model, raw_rows(vae.model, 3), directory, {})
    assert files_of(directory) == files_of(vae.directory)
    assert [path.name for path in directory.parent.iterdir()] == ["model"]


def test_a_packing_that_fails_leaves_the_old_model(vae, tmp_path):
    directory = tmp_path / "model"
    package(vae.model, raw_rows(vae.model, 3), directory, {"is": "old"})
    before = {name: (directory / name).read_bytes() for name in files_of(directory)}
    wrong_shape = np.zeros((1, 2, 3), np.float32)
    with pytest.raises(Exception, match="does not match"):
        package(vae.model, wrong_shape, directory, {"is": "new"})
    assert {name: (directory / name).read_bytes() for name in files_of(directory)} == before
    assert [path.name for path in tmp_path.iterdir() if path.name != "mlflow.db"] == ["model"]


def test_a_model_of_double_precision_is_served_in_single(vae, tmp_path):
    raw = raw_rows(vae.model, 10)
    expected = vae.in_memory(raw)["latent"]
    vae.model.double()
    try:
        package(vae.model, raw, tmp_path / "model", {})
    finally:
        vae.model.float()
    loaded = mlflow.pyfunc.load_model(str(tmp_path / "model"))
    assert np.allclose(loaded.predict(raw, params={"output": "latent"}), expected, atol=1e-6)
    assert vae.model.network.encoder[0].weight.dtype == torch.float32
