"""The gallery: a table and a picture of every variant, and nothing trained twice."""

from types import SimpleNamespace

import mlflow
import pytest
from PIL import Image

from lit_ae import variants
from pipelines import gallery
from pipelines.command_line import RECIPES
from pipelines.results import marks


def run_of(metrics, run_id="r"):
    data = SimpleNamespace(metrics=metrics, tags={"variant": "VAE"}, params={"model/parameters": "1234"})
    return SimpleNamespace(data=data, info=SimpleNamespace(run_id=run_id))


def test_every_variant_is_in_it():
    texts = [(RECIPES / f"{recipe}.yaml").read_text() for recipe in gallery.RECIPES]
    missing = [name for name in variants.__all__ if not any(f"variants.{name}\n" in text for text in texts)]
    assert missing == []


def test_a_row_holds_common_and_own_figures():
    figures = {"test/mse": 0.01, "pca/mse": 0.02, "test/psnr": 20.0, "test/kl": 3.5, "test/loss": 7.0}
    row = gallery.markdown({"vae_digits": run_of(figures)})[-1]
    assert row == "| vae_digits | VAE | 0.01 | 0.02 | 20 |  |  | 1,234 |  | kl 3.5 |"


def test_the_sheet_holds_every_picture_in_its_place(tmp_path):
    paths = []
    for name, size in {"red": (400, 100), "blue": (400, 150), "green": (200, 100)}.items():
        Image.new("RGB", size, name).save(tmp_path / f"{name}.png")
        paths.append(tmp_path / f"{name}.png")
    with Image.open(gallery.contact_sheet(paths, tmp_path / "sheet.png")) as sheet:
        assert sheet.size == (1600, 300 + 400)
        seen = [sheet.convert("RGB").getpixel(place) for place in ((5, 5), (805, 295), (5, 305), (1000, 600), (5, 250))]
    assert seen == [(255, 0, 0), (0, 0, 255), (0, 128, 0), (255, 255, 255), (255, 255, 255)]


def test_it_leaves_one_parent_run_with_table_and_pictures(workspace, monkeypatch):
    trained = []
    page, (begin, end) = workspace / "README.md", marks("gallery")
    page.write_text(f"before\n{begin}\n{end}\nafter\n")

    def train(recipe, seed, experiment):
        trained.append((recipe, seed))
        mlflow.set_experiment(experiment)
        picture = workspace / "reconstructions.png"
        Image.new("RGB", (80, 20), "red").save(picture)
        with mlflow.start_run(run_name=f"{recipe} seed {seed}") as run:
            mlflow.log_metrics({"test/mse": 0.01, "pca/mse": 0.02})
            mlflow.log_artifact(str(picture), "pictures")
        return mlflow.get_run(run.info.run_id)

    monkeypatch.setattr(gallery, "train", train)
    assert gallery.main(["vae_digits", "masked_digits", "--seed", "3", "--write", str(page)]) == 0
    assert trained == [("vae_digits", 3), ("masked_digits", 3)]
    runs = mlflow.search_runs(experiment_names=["gallery"], output_format="list")
    (parent,) = [run for run in runs if run.info.run_name == "gallery seed 3"]
    children = [run for run in runs if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id]
    assert parent.info.status == "FINISHED"
    assert len(children) == 2
    kept = {file.path for file in mlflow.MlflowClient().list_artifacts(parent.info.run_id, "pictures")}
    assert kept == {"pictures/vae_digits.png", "pictures/masked_digits.png"}
    table = parent.data.tags["mlflow.note.content"]
    assert "| masked_digits |" in table
    assert page.read_text().startswith(f"before\n{begin}\n{table}\n\n![")
    assert page.read_text().endswith(f"](docs/gallery.png)\n{end}\nafter\n")
    with Image.open(workspace / "docs" / "gallery.png") as sheet:
        assert sheet.width == 1600


def test_a_page_without_the_marks_is_refused_before_anything_is_trained(workspace, monkeypatch, capsys):
    monkeypatch.setattr(gallery, "train", None)
    (workspace / "README.md").write_text("no marks")
    with pytest.raises(SystemExit) as stopped:
        gallery.main(["vae_digits", "--write", "README.md"])
    assert stopped.value.code == 2
    assert "README.md has no line <!-- gallery: begin -->" in capsys.readouterr().err


def test_an_unknown_recipe_is_one_line(capsys):
    with pytest.raises(SystemExit) as stopped:
        gallery.main(["vae_digit"])
    assert stopped.value.code == 2
    assert capsys.readouterr().err.startswith("lit-ae: Unknown recipe 'vae_digit'")
