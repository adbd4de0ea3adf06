"""What can't be compared is refused in one sentence, with exit code 2, and no run is opened."""

import pytest

from pipelines import compare

WRONG = {
    "nothing": ((), "Name the models"),
    "one": (("first",), "One model can't be compared"),
    "unknown run": (("first", "0" * 32), "There is no run '000"),
    "unknown model": (("first", "models:/digit@champion"), "did you mean digits?"),
    "unknown alias": (("first", "models:/digits@champ"), "did you mean champion?"),
    "unknown version": (("first", "models:/digits/7"), "'digits' has no version 7"),
    "unknown folder": (("first", "nowhere"), "There is no model nowhere"),
    "foreign folder": (("first", "."), "no model of lit-ae"),
    "run without a model": (("first", "empty"), "has no model"),
    "other data": (("first", "sensors"), "360 test rows of Digits"),
    "data that do not fit": (("first", "wide", "--data", "Sensors"), "takes samples of kind image"),
    "empty filter": (("--filter", "tags.variant = 'nothing'"), "finds no run"),
    "only a run without a model": (("--filter", "attributes.run_name = 'empty'", "--experiment", "Default"), "without"),
    "bad filter": (("--filter", "variant is VAE"), "can't be read"),
    "unknown experiment": (("--filter", "metrics.x < 1", "--experiment", "lit_ae"), "did you mean lit-ae?"),
    "unknown baseline": (("first", "wide", "--baseline", "third"), "is none of the models"),
    "unknown option": (("first", "wide", "--base", "x"), "Unknown option --base: did you mean --baseline?"),
    "unknown data": (("first", "wide", "--data", "Digit"), "did you mean Digits?"),
    "bad place": (("first", "wide", "--json", "nowhere/figures.json"), "can't be written"),
    "bad number": (("first", "wide", "--level", "95"), "--level must lie between 0.5 and 1"),
    "bad word": (("first", "wide", "--level", "high"), "invalid float value"),
}


@pytest.mark.parametrize(("words", "reason"), WRONG.values(), ids=WRONG.keys())
def test_mistakes_are_one_line(words, reason, judge, made_runs):
    before = {run.info.run_id for run in made_runs.runs()}
    answer = judge(*words)
    assert answer.code == 2
    assert answer.err.startswith("lit-ae: ")
    assert answer.err.count("\n") == 1
    assert reason in answer.err
    assert {run.info.run_id for run in made_runs.runs()} == before


def test_different_data_are_named_with_their_digests(judge, made_runs):
    sentence = judge("first", "sensors").err
    assert "Autoencoder MLP 3 Digits seed 0 has 360 test rows of Digits with the digest" in sentence
    assert "Autoencoder MLP 3 Sensors seed 0 has" in sentence


def test_a_server_that_is_down_is_said(judge, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    answer = judge("first", "wide")
    assert answer.code == 2
    assert "The tracking server http://127.0.0.1:9 does not answer" in answer.err
    assert answer.err.count("\n") == 1


def test_help_names_addresses_and_options(capsys):
    with pytest.raises(SystemExit) as end:
        compare.main(["--help"])
    assert end.value.code == 0
    page = capsys.readouterr().out
    assert all(word in page for word in ("models:/<name>@<alias>", "--baseline", "--filter", "--data"))
