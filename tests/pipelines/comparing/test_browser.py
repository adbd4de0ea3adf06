"""MLflow's own pages, seen by a real browser, on a store as trainings leave it: ``pytest -m browser``.

LIT_AE_SCREENSHOTS names a folder that keeps what the browser has seen at the end of each test.
"""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import mlflow
import pytest
import requests
import yaml
from mlflow import MlflowClient

from pipelines import compare
from pipelines.command_line import run
from pipelines.train import train
from tests.pipelines.helpers import SMALL, Server, wait_for

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(600),
    pytest.mark.skipif(CHROMIUM is None, reason="There is no Chromium here: install the package chromium."),
]
HARMLESS = (
    "favicon",
    "ERR_INTERNET_DISCONNECTED",
    "ERR_NAME_NOT_RESOLVED",
    "ERR_CONNECTION",
    "Failed to load resource",
    "ResizeObserver loop",
)
VARIANTS = {"VAE": "VAE MLP 3 Digits seed 0", "Autoencoder": "Autoencoder MLP 3 Digits seed 0",
            "DenoisingAutoencoder": "DenoisingAutoencoder MLP 3 Digits seed 0"}  # fmt: skip
PATIENCE = 90_000  # ms that a page may take on a busy machine


@pytest.fixture(scope="module")
def pages(tmp_path_factory, database_template) -> Iterator[dict[str, str]]:
    """Addresses of MLflow's pages on three trainings, a comparison of them, and a registered model."""
    folder = tmp_path_factory.mktemp("ui")
    (folder / "mlflow.db").write_bytes(database_template)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/mlflow.db")
        fill(folder)
        client = MlflowClient()
        found = {one.info.run_name: one.info for one in client.search_runs(["1"])}
        server = shown(folder)
        try:
            yield addresses(server, found)
        finally:
            os.killpg(server.process.pid, signal.SIGKILL)
            server.process.wait()


def fill(folder: Path) -> None:
    """Three variants trained for two epochs, compared, and the first one registered."""
    recipe = {**SMALL, "trainer": {"max_epochs": 2, "accelerator": "cpu"}}
    (folder / "small.yaml").write_text(yaml.safe_dump(recipe))
    plain = ("--model.network", "MLP", "--model.network.hidden", "[16]", "--model.latent_dim", "3")
    for variant in VARIANTS:
        assert run(train, ["--config", "small.yaml", "--model", variant, *plain]) == 0
    assert compare.main(["--filter", "attributes.status = 'FINISHED'", "--resamples", "200", "--turns", "1"]) == 0
    first = next(one for one in MlflowClient().search_runs(["1"]) if one.data.tags.get("variant") == "VAE")
    version = mlflow.register_model(f"runs:/{first.info.run_id}/model", "digits").version
    MlflowClient().set_registered_model_alias("digits", "champion", version)


def shown(folder: Path) -> Server:
    """MLflow's user interface on the store, answering."""
    server = Server(folder)
    store = ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db"]
    command = [sys.executable, "-m", "mlflow", "ui", *store, "--port", str(server.port), "--workers", "1"]
    with (folder / "ui.log").open("w") as log:
        server.process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    assert wait_for(lambda: is_up(server.uri), 120), (folder / "ui.log").read_text()
    return server


def is_up(uri: str) -> bool:
    try:
        return requests.get(f"{uri}/health", timeout=2).ok
    except requests.RequestException:
        return False


def addresses(server: Server, found: dict) -> dict[str, str]:
    """The pages by name."""
    ids = ",".join(f'"{found[name].run_id}"' for name in VARIANTS.values())
    comparison = next(info for name, info in found.items() if name.startswith("compare"))
    one = found[VARIANTS["VAE"]]
    return {
        "runs": f"{server.uri}/#/experiments/1/runs",
        "charts": f"{server.uri}/#/experiments/1/runs?compareRunsMode=CHART",
        "compare": f'{server.uri}/#/compare-runs?runs=[{ids}]&experiments=["1"]',
        "run": f"{server.uri}/#/experiments/1/runs/{one.run_id}",
        "pictures": f"{server.uri}/#/experiments/1/runs/{one.run_id}/artifacts/pictures/reconstructions.png",
        "comparison": f"{server.uri}/#/experiments/1/runs/{comparison.run_id}/artifacts/pictures/mse.png",
        "report": f"{server.uri}/#/experiments/1/runs/{comparison.run_id}/artifacts/comparison.html",
        "model": f"{server.uri}/#/models/digits",
    }


@pytest.fixture(scope="module")
def browser():
    """Chromium without a window."""
    from playwright.sync_api import sync_playwright

    options = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        yield started
        started.close()


@pytest.fixture
def see(browser, pages, tmp_path, request):
    """Opens a page and waits for texts on it; errors of its own are none that matter."""
    page = browser.new_page(viewport={"width": 1600, "height": 1000})
    page.set_default_timeout(PATIENCE)
    errors = []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))

    def seen(name, *texts):
        page.goto(pages[name])
        for text in texts:
            page.get_by_text(text).first.wait_for()
        return page

    yield seen
    page.screenshot(path=Path(os.environ.get("LIT_AE_SCREENSHOTS", tmp_path)) / f"{request.node.name}.png")
    page.close()
    assert [error for error in errors if not any(text in error for text in HARMLESS)] == []


def test_the_list_names_each_run_and_its_data(see):
    page = see("runs", *VARIANTS.values(), "compare 3 models on Digits")
    page.get_by_text("Digits (").first.wait_for()
    assert all(page.get_by_text(name).first.is_visible() for name in VARIANTS.values())


def test_the_parallel_coordinates_begin_with_the_error_over_what_differs(see):
    page = see("compare", "Comparing 3 Runs", "val/mse", *VARIANTS.values())
    chosen = page.locator("[class*=select-selection-item]").all_inner_texts()
    assert "val/mse" in " ".join(chosen)
    assert any(text.strip() == "model" for text in chosen)
    page.locator(".js-plotly-plot svg").first.wait_for()


def test_charts_show_the_test_error_of_every_run(see):
    page = see("charts", VARIANTS["VAE"])
    page.get_by_placeholder("Search metric charts").fill("test/mse")
    page.get_by_text("test/mse", exact=True).first.wait_for()
    chart = page.locator(".js-plotly-plot svg").first
    chart.wait_for()
    assert chart.bounding_box()["height"] > 50


def test_a_run_says_what_was_trained_on_what(see):
    page = see("run", "with a MLP network", "360 test", "variant")
    assert page.get_by_text("on Digits").count() > 0


@pytest.mark.parametrize(("name", "text"), [("pictures", "reconstructions.png"), ("comparison", "mse.png")])
def test_pictures_are_shown(see, name, text):
    assert width_of(see(name, text)) > 300


def width_of(page) -> int:
    """The width in pixels of the widest picture that the page shows, once one has loaded from the store."""
    shown = "[...document.images].filter(one => /^blob:|artifact/.test(one.src)).map(one => one.naturalWidth)"
    page.wait_for_function(f"Math.max(0, ...{shown}) > 0")
    return page.evaluate(f"Math.max(...{shown})")


def test_the_report_is_shown_inside_mlflow(see):
    page = see("report", "comparison.html")
    frame = page.frame_locator("iframe").first
    frame.get_by_text("What was found").wait_for()
    assert frame.locator("img").first.evaluate("image => image.naturalWidth") > 300


def test_the_registered_model_shows_its_champion(see):
    page = see("model", "digits", "champion", "Version 1")
    assert page.get_by_text("champion").first.is_visible()
