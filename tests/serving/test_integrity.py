"""A packed model whose files are not those that were packed is not loaded."""

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import mlflow
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mlflow.models import Model

from lit_ae.detection.detector import Detector
from lit_ae.detection.settings import DetectionSettings
from lit_ae.errors import UserError
from lit_ae.networks import MLP
from lit_ae.preprocessing import Rescale
from lit_ae.serving.files import load, load_detector
from lit_ae.serving.integrity import HASHES, seal, seal_package, verify, verify_package
from lit_ae.serving.package import package
from lit_ae.spec import DataSpec
from lit_ae.variants import Autoencoder
from pipelines import score, serve
from pipelines.models import INSIDE

FILES = (
    "model.json",
    "weights.safetensors",
    "detector.json",
    "detector.safetensors",
    "member_1/model.json",
    "member_1/weights.safetensors",
    "member_1/hashes.json",
    HASHES,
)

BESIDE = (
    "code/lit_ae/__init__.py",
    "code/lit_ae/serving/integrity.py",
    "code/lit_ae/networks/mlp.py",
    "requirements.txt",
    "input_example.json",
    HASHES,
)


@pytest.fixture(scope="module")
def packed(tmp_path_factory) -> Path:
    """A packed model that is judged by two."""
    spec = DataSpec("Noise", "image", (1, 3, 3), Rescale(0, 1))
    x = torch.rand(300, 1, 3, 3, generator=torch.Generator().manual_seed(0))
    models = [Autoencoder(spec, latent_dim=2, network=partial(MLP, hidden=[4])).eval() for _ in range(2)]
    detector = Detector.fit(models, x[:100], x[100:200], x[200:], DetectionSettings(alpha=0.1, bank_size=20))
    directory = tmp_path_factory.mktemp("whole") / "packed"
    package(models[0], x[:2].numpy(), directory, {}, detector)
    return directory


@pytest.fixture
def folder(packed) -> Path:
    """Its own files."""
    return packed / INSIDE


@contextmanager
def damaged(file: Path, place: int = 0) -> Iterator[None]:
    """One bit of a file is turned, until the block ends."""
    content = file.read_bytes()
    file.write_bytes(flipped(content, place % len(content)))
    try:
        yield
    finally:
        file.write_bytes(content)


@contextmanager
def added(file: Path) -> Iterator[None]:
    """An empty file stands there, until the block ends."""
    file.touch()
    try:
        yield
    finally:
        file.unlink()


def flipped(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


def test_a_whole_model_is_loaded_and_all_its_files_are_listed(folder):
    assert load_detector(folder, load(folder)) is not None
    assert {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()} == set(FILES)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("place", [0, -1])
def test_one_byte_is_enough(name, place, folder):
    with damaged(folder / name, place):
        for loading in (load, load_detector):
            with pytest.raises(UserError, match=r"was changed after the model was packed") as refusal:
                loading(folder)
            assert str(folder / name) in str(refusal.value) or name == HASHES
    assert load(folder) is not None


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_gone_is_named(name, folder):
    file = folder / name
    content = file.read_bytes()
    file.unlink()
    try:
        with pytest.raises(UserError, match="is missing") as refusal:
            load(folder)
        assert str(file) in str(refusal.value)
    finally:
        file.write_bytes(content)


def test_a_file_that_was_added_is_named(folder):
    with added(folder / "member_2.json"), pytest.raises(UserError, match=r"member_2.json was added"):
        load(folder)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    contents=st.dictionaries(st.sampled_from("abcd"), st.binary(min_size=1, max_size=20), min_size=1), data=st.data()
)
def test_any_flipped_byte_is_found(contents, data, tmp_path_factory):
    directory = tmp_path_factory.mktemp("any")
    for name, content in contents.items():
        (directory / name).write_bytes(content)
    seal(directory)
    verify(directory)
    name = data.draw(st.sampled_from(sorted(contents)))
    place = data.draw(st.integers(0, len(contents[name]) - 1))
    (directory / name).write_bytes(flipped(contents[name], place))
    with pytest.raises(UserError, match=f"{name} was changed"):
        verify(directory)


@pytest.mark.parametrize("name", BESIDE)
def test_one_byte_of_the_code_or_what_stands_beside_it_is_enough(name, packed, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))  # to which MLflow adds the model's code
    with damaged(packed / name, -2):
        with pytest.raises(UserError, match="was changed after the model was packed") as refusal:
            mlflow.pyfunc.load_model(str(packed))
        assert str(packed / name) in str(refusal.value) or name == HASHES
    assert mlflow.pyfunc.load_model(str(packed)) is not None


def test_code_that_was_added_or_taken_away_is_named(packed):
    code, elsewhere = packed / "code" / "lit_ae" / "windows.py", packed / "elsewhere.py"
    code.rename(elsewhere)
    try:
        with pytest.raises(UserError, match=r"windows\.py is missing"):
            verify_package(packed)
    finally:
        elsewhere.rename(code)
    with added(code.with_name("more.py")), pytest.raises(UserError, match=r"more\.py was added"):
        verify_package(packed)


def test_what_mlflow_and_python_write_is_no_change(packed, tmp_path):
    logged = tmp_path / "logged"
    shutil.copytree(packed, logged)
    described = Model.load(str(logged))
    described.model_id = described.run_id = described.artifact_path = "of a store"
    described.save(str(logged / "MLmodel"))
    (logged / "registered_model_meta").write_text("model_name: plant\n")
    compiled = logged / "code" / "lit_ae" / "__pycache__"
    compiled.mkdir()
    (compiled / "windows.cpython-311.pyc").write_bytes(b"")
    verify_package(logged)
    described.flavors["python_function"]["loader_module"] = "os"
    described.save(str(logged / "MLmodel"))
    with pytest.raises(UserError, match="MLmodel was changed"):
        verify_package(logged)
    seal_package(logged)
    verify_package(logged)


def test_a_model_of_another_time_without_the_list_is_refused(packed, tmp_path):
    shutil.copytree(packed, tmp_path / "old")
    (tmp_path / "old" / HASHES).unlink()
    with pytest.raises(UserError, match=r"hashes\.json is missing"):
        mlflow.pyfunc.load_model(str(tmp_path / "old"))


COMMANDS = {
    "score": lambda model: score.main([model, "rows.csv", "answers.csv"]),
    "serve": lambda model: serve.main([model, "--port", "0"]),
}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("name", [f"{INSIDE}/weights.safetensors", "code/lit_ae/serving/scorer.py"])
def test_a_command_says_so_in_one_line(name, command, packed, workspace, capsys):
    (workspace / "rows.csv").write_text("a\n1\n")
    with damaged(packed / name, 200), pytest.raises(SystemExit) as end:
        COMMANDS[command](str(packed))
    said = capsys.readouterr().err
    assert end.value.code == 2
    assert said.startswith("lit-ae: ")
    assert said.count("\n") == 1
    assert f"{name} was changed after the model was packed" in said
    assert not (workspace / "answers.csv").exists()
