"""A served model of molecules: strings in, strings out, and one sentence for what is none."""

import json
from functools import partial
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
import torch
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import PyFuncModel

from data import SMILES, Digits
from lit_ae.likelihoods import Categorical
from lit_ae.networks import Recurrent
from lit_ae.serving.package import package, requirements
from lit_ae.variants import VAE
from tests.serving.conftest import pack

MOLECULES = ["OCC", "c1ccccc1O", "CC(=O)O"]


@pytest.fixture(scope="module")
def data() -> SMILES:
    made = SMILES(length=30)
    made.setup()
    return made


@pytest.fixture(scope="module")
def model(data: SMILES) -> VAE:
    torch.manual_seed(0)
    network = partial(Recurrent, hidden=12, embedding=8)
    return VAE(data.spec, latent_dim=4, network=network, likelihood=Categorical).eval()


@pytest.fixture(scope="module")
def directory(model: VAE, data: SMILES, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("strings") / "model"
    package(model, data.example(), path, {})
    return path


@pytest.fixture(scope="module")
def served(directory: Path) -> PyFuncModel:
    return mlflow.pyfunc.load_model(str(directory))


@pytest.mark.parametrize(
    "given",
    [MOLECULES, np.array(MOLECULES), pd.Series(MOLECULES), pd.DataFrame({"smiles": MOLECULES})],
    ids=lambda given: type(given).__name__,
)
def test_strings_come_in_any_usual_form_and_go_out(served: PyFuncModel, model: VAE, data: SMILES, given) -> None:
    x = data.tokenizer.encode(MOLECULES).float()
    with torch.no_grad():
        assert served.predict(given).tolist() == data.tokenizer.decode(model(x))
        latent = served.predict(given, params={"output": "latent"})
        assert np.allclose(latent, model.encode(x).numpy(), atol=1e-6)
    assert served.predict(given, params={"output": "error"}).shape == (3,)
    drawn = served.predict(given, params={"output": "sample", "seed": 7})
    assert [type(one) for one in drawn.tolist()] == [str] * 3
    assert drawn.tolist() == served.predict(given, params={"output": "sample", "seed": 7}).tolist()


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (["CCO", "C(C"], r"Row 1 is no valid SMILES \('C\(C'\): correct it or leave it out"),
        (["C" * 31], "Row 0 has 31 tokens, and the model was made for 30 at most"),
        (["CCO", None], "Row 1 is of type .*, but every row must be a string"),
    ],
)
def test_what_is_no_molecule_is_named(served: PyFuncModel, given: list, sentence: str) -> None:
    with pytest.raises(MlflowException, match=sentence):
        served.predict(given)


def test_only_a_model_of_molecules_needs_rdkit(directory: Path, data: SMILES) -> None:
    assert any(line.startswith("rdkit==") for line in (directory / "requirements.txt").read_text().splitlines())
    assert not any("rdkit" in line or "selfies" in line for line in requirements(Digits().spec))
    selfies = SMILES(notation="selfies", length=30)
    assert {"rdkit", "selfies"} <= {line.partition("==")[0] for line in requirements(selfies.spec)}


def test_a_model_of_images_loads_without_rdkit(tmp_path: Path) -> None:
    packed = pack(VAE, Digits(), tmp_path / "model")
    described = json.loads((packed.directory / "data" / "autoencoder" / "model.json").read_text())
    assert described["spec"]["tokenizer"] is None
