"""A packed model runs where nothing of this project is but the model itself."""

import os
import subprocess
import sys
import venv
from pathlib import Path

import numpy as np
import pytest

from tests.serving.conftest import raw_rows

CHECKOUT = Path(__file__).resolve().parents[2]
SCRIPT = """
import sys
sys.path = [entry for entry in sys.path if entry != {checkout!r}]
sys.meta_path = [finder for finder in sys.meta_path if "__editable__" not in repr(finder)]
import importlib.util
assert importlib.util.find_spec("lit_ae") is None

import mlflow
import numpy as np
model = mlflow.pyfunc.load_model({model!r})
import lit_ae
print(lit_ae.__file__)
rows = np.load("rows.npy")
outputs = ("reconstruction", "latent", "error", "sample")
np.savez("figures.npz", **{{name: model.predict(rows, params={{"output": name}}) for name in outputs}})
own = sorted(name for name in sys.modules if name.partition(".")[0] in ("data", "pipelines", "torchvision"))
print(*own)
"""


def figures_by(python: Path | str, packed, workspace: Path) -> tuple[dict[str, np.ndarray], list[str]]:
    """Every output as a fresh interpreter finds it in an empty folder, and the lines that it prints."""
    np.save(workspace / "rows.npy", raw_rows(packed.model, 50))
    script = SCRIPT.format(checkout=str(CHECKOUT), model=str(packed.directory))
    done = subprocess.run(
        [str(python), "-I", "-c", script], cwd=workspace, capture_output=True, text=True, timeout=110,
        env={"PATH": os.environ["PATH"], "HOME": str(workspace), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return dict(np.load(workspace / "figures.npz")), done.stdout.splitlines()


def assert_equal_in_memory(figures, packed):
    for name, expected in packed.in_memory(raw_rows(packed.model, 50)).items():
        np.testing.assert_allclose(figures[name], expected, rtol=1e-6, atol=1e-6 * max(1.0, abs(expected).max()))


def test_it_runs_by_its_own_code_alone(vae, workspace):
    figures, printed = figures_by(sys.executable, vae, workspace)
    assert printed[0] == str(vae.directory / "code" / "lit_ae" / "__init__.py")
    assert not any(name.startswith(("data", "pipelines")) for name in printed[1].split())
    assert_equal_in_memory(figures, vae)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_its_requirements_are_all_that_it_needs(vae, workspace):
    venv.create(workspace / "clean", with_pip=True)
    python = workspace / "clean" / "bin" / "python"
    requirements = str(vae.directory / "requirements.txt")
    subprocess.run([python, "-m", "pip", "install", "--quiet", "-r", requirements], check=True, capture_output=True)
    figures, printed = figures_by(python, vae, workspace)
    assert printed == [str(vae.directory / "code" / "lit_ae" / "__init__.py"), ""]
    assert_equal_in_memory(figures, vae)
