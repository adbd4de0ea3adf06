"""Trainings on files of one's own: schema shown and kept, rows counted, and the model takes frames."""

from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest

import data
from pipelines.command_line import DEFAULT_RECIPE, RECIPE_OF, RECIPES, read

ROWS = 900


@pytest.fixture
def csv(workspace: Path) -> Path:
    """Readings of two pumps; every fiftieth row is a leak, one line is ragged."""
    rng = np.random.default_rng(0)
    rows = np.arange(ROWS)
    pd.DataFrame(
        {
            "pressure": rng.normal(3, 1, ROWS),
            "valve": rng.choice(["open", "shut"], ROWS),
            "when": pd.date_range("2026-01-01", periods=ROWS, freq="s").astype(str),
            "pump": rows % 2,
            "state": np.where(rows % 50 == 0, "leak", "normal"),
        }
    ).to_csv(workspace / "pumps.csv", index=False)
    with (workspace / "pumps.csv").open("a") as file:
        file.write("1.0,open\n")
    return workspace / "pumps.csv"


def options(csv: Path, **more: Any) -> list[object]:
    """The small recipe's model on a table, quick."""
    chosen = {"path": csv, "label_column": "state", "bad_rows": "skip", "batch_size": 64, **more}
    words = [part for name, value in chosen.items() for part in (f"--data.{name}", value)]
    quick = [
        "--detection.alpha",
        0.05,
        "--model.likelihood",
        "Gaussian",
        "--model.learning_rate",
        "null",
        "--trainer.max_epochs",
        1,
    ]
    return [*words, "--data.fit_rows", "null", *quick]


def test_a_streamed_table_is_trained_counted_and_served(train: Any, runs: Any, csv: Path) -> None:
    answer = train("--data", "Table", *options(csv, ignore="[when,pump]", stream=True, staging=csv.parent / "staged"))
    assert answer.code == 0, answer.err
    assert "| valve | categorical | string | open, shut |" in answer.out
    run = runs()[0]
    assert run.data.params["data/left_out/lines with too many or too few fields"] == "1"
    assert 0 < int(run.data.params["data/left_out/anomalies outside the test rows"]) < ROWS / 50
    sizes = [int(run.data.params[f"data/rows/{role}"]) for role in ("fit", "tune", "calibrate", "test")]
    assert sum(sizes) + int(run.data.params["data/left_out/anomalies outside the test rows"]) == ROWS
    assert Path(mlflow.artifacts.download_artifacts(f"runs:/{run.info.run_id}/schema.md")).read_text() in answer.out
    model = mlflow.pyfunc.load_model(f"runs:/{run.info.run_id}/model")
    error = model.predict(pd.read_csv(csv, on_bad_lines="skip")[:5], params={"output": "error"})
    assert np.isfinite(error).all()
    assert list(model.predict(model.input_example, params={"output": "reconstruction"})) == ["pressure", "valve"]


def test_windows_of_a_series_are_trained_and_served(train: Any, runs: Any, csv: Path) -> None:
    chosen = {"time_column": "when", "entity_column": "pump", "window": 4, "stride": 2}
    answer = train("--data", "Series", *options(csv, **chosen))
    assert answer.code == 0, answer.err
    run = runs()[0]
    assert run.data.params["data/left_out/rows of gaps between roles"] == str(2 * 3 * 4)
    model = mlflow.pyfunc.load_model(f"runs:/{run.info.run_id}/model")
    frame = pd.read_csv(csv, on_bad_lines="skip")[:20]
    error = model.predict(frame, params={"output": "error"})
    assert np.isnan(error).tolist() == [True] * 6 + [False] * 14


def test_data_alone_name_the_default_recipe() -> None:
    assert set(RECIPE_OF) < set(data.__all__)
    for name, recipe in RECIPE_OF.items():
        path = ("--data.path", "x") if name in ("Table", "Series", "Arrays", "Sequences") else ()
        more = ("--data.time_column", "when") if name == "Series" else ()
        assert read(["--data", name, *path, *more]).arguments[0] == f"--config={RECIPES / recipe}.yaml"
    assert read([]).arguments == [f"--config={RECIPES / DEFAULT_RECIPE}.yaml"]
    assert not any("config" in word for word in read(["--data", "Digits", "--model", "VAE"]).arguments)


def test_five_hundred_rows_get_a_detector_or_a_sentence_that_says_what_to_type(
    train: Any, runs: Any, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.training.draw_portfolio", lambda *_: workspace)
    rng = np.random.default_rng(0)
    reactions = pd.DataFrame(rng.normal(size=(500, 4)), columns=["ph", "temperature", "flow", "yield"])
    reactions.assign(solvent=rng.choice(["DMF", "THF"], 500)).to_csv(workspace / "my.csv", index=False)
    words = ("--recipe", "autoencoder_table", "--data.path", "my.csv", "--trainer.max_epochs", 1)
    refused = train(*words, "--detection.alpha", 0.01)
    assert (refused.code, runs()) == (2, [])
    assert "set --detection.alpha 0.0" in refused.err
    answer = train(*words)
    assert answer.code == 0, answer.err
    assert "at most 0.05 of normal rows alarm" in answer.out


MISTAKES = {
    "no path": (["--data", "Table"], r"Table needs --data\.path: see --help Table\."),
    "no such column": (
        ["--data", "Table", "--data.path", "pumps.csv", "--data.bad_rows", "skip", "--data.label_column", "stat"],
        r"no column 'stat'",
    ),
    "ragged": (
        ["--data", "Table", "--data.path", "pumps.csv", "--data.ignore", "[when]"],
        r"pumps\.csv, line 902 has 2",
    ),
    "not there": (["--data", "Images", "--data.path", "gone"], r"gone is no folder: say by data\.path"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_opens_no_run_and_is_told_on_one_line(train: Any, runs: Any, csv: Path, mistake: str) -> None:
    words, sentence = MISTAKES[mistake]
    answer = train("--recipe", "autoencoder_digits", *words)
    assert answer.code == 2
    assert len(answer.err.strip().splitlines()) == 1
    assert pytest.raises(AssertionError, match=sentence).matches(AssertionError(answer.err))
    assert runs() == []
