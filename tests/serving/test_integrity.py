"""A packed model whose files are not those that were packed is not loaded."""

from functools import partial
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lit_ae.detection.detector import Detector
from lit_ae.detection.settings import DetectionSettings
from lit_ae.errors import UserError
from lit_ae.networks import MLP
from lit_ae.preprocessing import Rescale
from lit_ae.serving.files import load, load_detector, save
from lit_ae.serving.integrity import HASHES, seal, verify
from lit_ae.spec import DataSpec
from lit_ae.variants import Autoencoder
from pipelines import score

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

CONTENTS = st.dictionaries(st.sampled_from("abcd"), st.binary(min_size=1, max_size=20), min_size=1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A model that is judged by two, on disk."""
    spec = DataSpec("Noise", "image", (1, 3, 3), Rescale(0, 1))
    x = torch.rand(300, 1, 3, 3, generator=torch.Generator().manual_seed(0))
    models = [Autoencoder(spec, latent_dim=2, network=partial(MLP, hidden=[4])).eval() for _ in range(2)]
    detector = Detector.fit(models, x[:100], x[100:200], x[200:], DetectionSettings(alpha=0.1, bank_size=20))
    directory = tmp_path_factory.mktemp("packed") / "data" / "autoencoder"
    save(models[0], directory, detector)
    return directory


def flipped(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


def test_a_whole_model_is_loaded_and_all_its_files_are_listed(folder):
    assert load_detector(folder, load(folder)) is not None
    assert {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()} == set(FILES)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("place", [0, -1])
def test_one_byte_is_enough(name, place, folder):
    file = folder / name
    content = file.read_bytes()
    file.write_bytes(flipped(content, place % len(content)))
    try:
        for loading in (load, load_detector):
            with pytest.raises(UserError, match=r"was changed after the model was packed") as refusal:
                loading(folder)
            assert str(file) in str(refusal.value) or name == HASHES
    finally:
        file.write_bytes(content)
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
    added = folder / "member_2.json"
    added.write_text("{}")
    try:
        with pytest.raises(UserError, match=r"member_2.json was added"):
            load(folder)
    finally:
        added.unlink()


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


def test_a_command_says_so_in_one_line(folder, workspace, capsys):
    (workspace / "rows.csv").write_text("a\n1\n")
    content = (folder / "weights.safetensors").read_bytes()
    (folder / "weights.safetensors").write_bytes(flipped(content, len(content) // 2))
    try:
        with pytest.raises(SystemExit) as end:
            score.main([str(folder.parents[1]), "rows.csv", "answers.csv"])
    finally:
        (folder / "weights.safetensors").write_bytes(content)
    said = capsys.readouterr().err
    assert end.value.code == 2
    assert said.startswith("lit-ae: ")
    assert said.count("\n") == 1
    assert "weights.safetensors was changed after the model was packed" in said
    assert not (workspace / "answers.csv").exists()
