"""The packed model answers by its own code alone, where this project can't be imported."""

import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from lit_ae.networks import MLP
from lit_ae.preprocessing import Tabular
from lit_ae.schema import Column, Schema
from lit_ae.serving.files import load
from lit_ae.serving.integrity import seal_package
from lit_ae.serving.package import package
from lit_ae.spec import DataSpec
from lit_ae.variants import Autoencoder
from pipelines.promoting import outside
from pipelines.promoting.clean import Failed, answers_outside, as_asked, find_uv
from tests.pipelines.helpers import ROOT

COLUMNS = [
    Column("flow", "numeric", "float64", 0.0, 1.0),
    Column("valve", "categorical", "string", categories=("a", "b")),
]
WAY = Tabular(bins=[0, 2 + 1], centre=[0.5, 0.0], scale=[1.0, 1.0])


@pytest.fixture(scope="module")
def packed(tmp_path_factory) -> Path:
    """A small model of windows of a table."""
    schema = Schema(COLUMNS, entity="plant")
    spec = DataSpec("Windows", "series", (3, WAY.features), WAY, schema=schema)
    torch.manual_seed(0)
    model = Autoencoder(spec, latent_dim=2, network=partial(MLP, hidden=[4])).eval()
    example = pd.DataFrame({"flow": [0.1, 0.2, 0.3], "valve": ["a", "b", "a"], "plant": [0, 0, 0]})
    folder = tmp_path_factory.mktemp("clean") / "model"
    package(model, example, folder, {})
    return folder


def windows(count: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    flow = torch.rand(count, 3, 1, generator=generator, dtype=torch.float64)
    return torch.cat([flow, torch.randint(0, 2, (count, 3, 1), generator=generator).double()], dim=2)


def errors_in_memory(folder: Path, raw: torch.Tensor) -> np.ndarray:
    model = load(folder / "data" / "autoencoder")
    x = WAY.apply(raw)
    return (model(x) - x).square().flatten(1).mean(1).numpy()


def test_the_project_itself_can_not_be_imported(tmp_path):
    program = (
        f"import sys, runpy; sys.path.insert(0, {str(ROOT)!r})\n"
        f"own = runpy.run_path({outside.__file__!r})['OwnCodeAlone']\n"
        "from pathlib import Path\n"
        "sys.meta_path.insert(0, own(Path('code')))\n"
        "for name in ('lit_ae', 'data', 'pipelines', 'benchmarks'):\n"
        "    try:\n"
        "        __import__(name)\n"
        "    except ModuleNotFoundError as error:\n"
        "        print(error)\n"
    )
    done = subprocess.run([sys.executable, "-I", "-c", program], cwd=tmp_path, capture_output=True, text=True)
    refused = [
        f"No module named '{name}' is packed with the model" for name in ("lit_ae", "data", "pipelines", "benchmarks")
    ]
    assert done.stdout.splitlines() == refused, done.stderr


def test_each_window_is_answered_by_the_code_that_was_packed(packed, tmp_path):
    changed = tmp_path / "model"
    shutil.copytree(packed, changed)
    measure = changed / "code" / "lit_ae" / "metrics" / "reconstruction.py"
    measure.write_text(measure.read_text().replace("return (x_hat - x).square()", "return 2 * (x_hat - x).square()"))
    raw, spec = windows(7), load(packed / "data" / "autoencoder").spec
    with pytest.raises(Failed, match=r"reconstruction\.py was changed after the model was packed"):
        answers_outside(changed, raw, spec, "process")
    seal_package(changed)
    answers = answers_outside(changed, raw, spec, "process")
    np.testing.assert_allclose(answers.error, 2 * errors_in_memory(packed, raw), rtol=1e-6)
    assert answers.score is None
    assert answers.alarm is None
    assert not list(changed.rglob("__pycache__"))


def test_a_model_that_does_not_load_says_why(packed, tmp_path):
    broken = tmp_path / "model"
    shutil.copytree(packed, broken)
    (broken / "code" / "lit_ae" / "serving" / "scorer.py").unlink()
    with pytest.raises(Failed, match=r"No module named 'lit_ae\.serving\.scorer'"):
        answers_outside(broken, windows(2), load(packed / "data" / "autoencoder").spec, "process")


def test_windows_become_series_of_their_own(packed):
    spec = load(packed / "data" / "autoencoder").spec
    frame = as_asked(windows(4), spec)
    assert frame["plant"].tolist() == [0] * 3 + [1] * 3 + [2] * 3 + [3] * 3
    assert set(frame["valve"]) <= {"a", "b"}


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("environment", ["virtualenv", "uv"])
def test_its_requirements_are_all_that_it_needs(environment, packed):
    if environment == "uv" and find_uv() is None:
        pytest.skip("there is no uv: pip install uv")
    raw, spec = windows(5), load(packed / "data" / "autoencoder").spec
    answers = answers_outside(packed, raw, spec, environment)
    np.testing.assert_allclose(answers.error, errors_in_memory(packed, raw), rtol=1e-5)
