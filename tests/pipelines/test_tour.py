"""The tour: whole, and refusing what it must not touch."""

import pytest
from mlflow import MlflowClient

from lit_ae.errors import UserError
from pipelines import tour
from pipelines.results import marks


def test_it_leaves_a_folder_alone_that_is_no_tour(tmp_path, capsys):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(SystemExit, match="2"):
        tour.main(["--output_dir", str(tmp_path)])
    assert "name another folder with --output_dir" in capsys.readouterr().err
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_a_page_without_marks_is_refused_before_anything_is_made(tmp_path, capsys):
    (tmp_path / "README.md").write_text("no marks")
    with pytest.raises(SystemExit, match="2"):
        tour.main(["--output_dir", str(tmp_path / "tour"), "--write", str(tmp_path / "README.md")])
    assert "<!-- tour: begin -->" in capsys.readouterr().err
    assert not (tmp_path / "tour").exists()


def test_a_command_that_fails_ends_it_with_the_last_line(tmp_path, monkeypatch, capsys):
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "PYTHONWARNINGS", tour.KEY):
        monkeypatch.setenv(name, "")  # what a tour sets is taken back after the test
    going = tour.Tour(tmp_path / "tour")
    with pytest.raises(UserError, match=r"pipelines\.score ended with exit code 2, see .*: lit-ae: There is no file"):
        going.run("score", ["score", "no_model", "absent.csv", "out.csv"])
    experiment = MlflowClient(going.uri).get_experiment_by_name("tour")
    assert experiment.artifact_location == str(tmp_path / "tour" / "artifacts")  # all of it goes with its folder
    assert "$ python -m pipelines.score no_model absent.csv out.csv" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_whole_life_of_a_model(tmp_path, monkeypatch):
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "PYTHONWARNINGS", tour.KEY):
        monkeypatch.setenv(name, "")
    page, (begin, end) = tmp_path / "page.md", marks("tour")
    page.write_text(f"{begin}\n{end}\n")
    assert tour.main(["--output_dir", str(tmp_path / "tour"), "--write", str(page)]) == 0
    story = page.read_text()
    assert '"verdict": "anomaly"' in story
    assert "Nothing to do" in story
    assert '"model_version": "3"' in story
    client = MlflowClient(f"sqlite:///{tmp_path / 'tour' / 'mlflow.db'}")
    aliases = client.get_registered_model("plant").aliases
    assert aliases["champion"] != aliases["previous"]
    assert {run.info.status for run in client.search_runs([client.get_experiment_by_name("tour").experiment_id])} == {
        "FINISHED"
    }
