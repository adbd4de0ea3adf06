"""``python -m pipelines.promote``: who becomes champion, who does not, and what is kept of it."""

import errno
import json
import re
from pathlib import Path

import pytest

from pipelines import registry
from pipelines.promoting import promotion
from pipelines.promoting.lock import SUFFIX
from pipelines.registry import Standing
from tests.pipelines.promoting.conftest import Trained

POLICY = ("--policy", "lenient.yaml")


def promotions(trained: Trained, name: str) -> list:
    """The runs of promotions of a name, the latest first."""
    experiment = trained.client.get_experiment_by_name("lit-ae").experiment_id
    return trained.client.search_runs([experiment], f"tags.model = '{name}'")


def aliases(trained: Trained, name: str) -> Standing:
    return registry.standing(trained.client, name)


def test_the_shipped_policy_judges_a_first_model_by_every_gate(trained, put_up):
    answer = put_up("whole", "--run", trained.runs["sound"])
    told = {line.split()[0]: line for line in answer.out.splitlines() if line.startswith("  ")}
    assert list(told) == ["baseline", "recall", "false_alarms", "latency", "size", "loads", "reproduces"]
    assert "passed" in told["loads"], answer.out
    assert "it loads in a process of its own and answers by its own code" in told["loads"]
    assert "12 figures of its run come back to" in told["reproduces"], answer.out
    assert "passed" in told["reproduces"]
    (run,) = promotions(trained, "whole")
    decision = json.loads(Path("outputs", run.info.run_id, "decision.json").read_text())
    assert [gate["name"] for gate in decision["gates"]] == list(told)
    assert decision["policy"]["first"]["reproduces"] == {"tolerance": 0.001}
    failed = [gate for gate in decision["gates"] if gate["outcome"] == "failed"]
    assert answer.code == (1 if failed else 0)
    assert aliases(trained, "whole").champion == (None if failed else "1")
    assert run.data.metrics["promotion/cost/size"] == decision["evidence"]["cost"]["size"] > 100_000
    assert run.info.status == "FINISHED"


def test_from_the_first_model_to_a_rollback(trained, put_up):
    first = put_up("life", "--run", trained.runs["sound"], *POLICY)
    assert first.code == 0, first.err
    assert aliases(trained, "life") == Standing("1", None, None)
    second = put_up("life", "--run", trained.runs["other"], *POLICY)
    assert second.code == 0, second.out + second.err
    assert aliases(trained, "life") == Standing("2", None, "1")
    assert_is_kept(trained, "life", "2", "passed")
    back = put_up("life", "--rollback", "--reason", "alarms doubled")
    assert (back.code, aliases(trained, "life")) == (0, Standing("1", None, "2"))
    put_back = trained.client.get_model_version("life", "1").tags["lit_ae.rolled_back_to"]
    assert put_back.startswith("version 1 in place of 2")
    assert put_back.endswith("alarms doubled")
    runs = promotions(trained, "life")
    assert [run.info.run_name for run in runs] == ["roll back life to 1", "promote life 2", "promote life 1"]
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert runs[0].data.tags["lit_ae.verdict"] == "rolled back"
    assert not any(model.name.startswith("life" + SUFFIX) for model in trained.client.search_registered_models())


def assert_is_kept(trained: Trained, name: str, version: str, verdict: str) -> None:
    """Tags, card and run of a version say the same."""
    kept = trained.client.get_model_version(name, version)
    run = promotions(trained, name)[0]
    assert kept.tags["lit_ae.verdict"] == run.data.tags["lit_ae.verdict"] == verdict
    assert kept.tags["lit_ae.promotion_run"] == run.info.run_id
    assert re.match(r"passed: \d\.\d+ MB", kept.tags["lit_ae.gate.size"])
    assert len(kept.description) <= 5000
    for heading in ("## Gates", "## Figures of the runs on the test rows", "## Limits", "## How to load"):
        assert heading in kept.description
    assert f'load_model("models:/{name}/{version}")' in kept.description
    assert "| ap |" in kept.description
    assert {file.path for file in trained.client.list_artifacts(run.info.run_id)} >= {"model_card.md", "decision.json"}


def test_a_worse_model_is_refused_and_the_reason_is_kept(trained, put_up):
    put_up("strict", "--run", trained.runs["sound"], *POLICY)
    Path("strict.yaml").write_text("challenger: {test: {figure: auroc, margin: 0.001, resamples: 50}, size: {}}")
    answer = put_up("strict", "--run", trained.runs["worse"], "--policy", "strict.yaml")
    assert answer.code == 1
    assert "Refused, against version 1. test: auroc 0." in answer.out
    assert aliases(trained, "strict") == Standing("1", "2", None)
    assert_refused = trained.client.get_model_version("strict", "2").tags
    assert assert_refused["lit_ae.verdict"] == "refused"
    assert assert_refused["lit_ae.gate.test"].startswith("failed: auroc")
    forced = put_up("strict", "--policy", "strict.yaml", "--force", "--reason", "the old one is too large")
    assert forced.code == 0
    assert "Promoted by force (the old one is too large), against version 1" in forced.out
    assert aliases(trained, "strict") == Standing("2", None, "1")
    kept = trained.client.get_model_version("strict", "2").tags
    assert (kept["lit_ae.verdict"], kept["lit_ae.forced"]) == ("forced", "the old one is too large")
    assert promotions(trained, "strict")[0].data.tags["lit_ae.forced"] == "the old one is too large"


def test_other_test_rows_are_refused_with_a_sentence(trained, put_up):
    put_up("rows", "--run", trained.runs["sound"], *POLICY)
    for run in ("foreign", "digits"):
        answer = put_up("rows", "--run", trained.runs[run], *POLICY)
        assert answer.code == 1, answer.err
        assert aliases(trained, "rows").champion == "1"
    assert "The model takes samples of kind table, and Digits has image" in answer.out
    reason = trained.client.get_model_version("rows", "2").tags["lit_ae.reason"]
    assert reason.startswith(f"data: it was trained beside other test rows (Sensors, run {trained.runs['foreign']})")


def test_a_model_without_a_detector_is_judged_by_its_reconstruction(trained, put_up):
    Path("bare.yaml").write_text("first: {baseline: {}, recall: {}, false_alarms: {}}")
    answer = put_up("digits", "--run", trained.runs["digits"], "--policy", "bare.yaml")
    assert "baseline" in answer.out
    assert "MSE per feature" in answer.out
    assert answer.out.count("not applicable  it needs labelled test rows and a detector") == 2


def test_a_dry_run_changes_nothing(trained, put_up):
    before = [model.name for model in trained.client.search_registered_models()]
    answer = put_up("dry", "--run", trained.runs["sound"], "--dry_run", *POLICY)
    assert answer.code == 0
    assert "Passed, as the first model of its name." in answer.out
    assert [model.name for model in trained.client.search_registered_models()] == before
    assert promotions(trained, "dry") == []


def test_mistakes_are_one_line_and_change_nothing(trained, put_up):
    put_up("mistaken", "--run", trained.runs["sound"], *POLICY)
    empty = trained.client.create_run("0").info.run_id
    wrong = {
        ("mistakn",): "There is no registered model 'mistakn' in sqlite:///",
        ("mistaken",): "'mistaken' has no challenger: name one with --version N or --run <run id>.",
        ("mistaken", "--version", "1"): "Version 1 of 'mistaken' is the champion already",
        ("mistaken", "--version", "7"): "'mistaken' has no version 7: it has 1.",
        ("mistaken", "--version", "champoin"): "has no alias 'champoin': did you mean champion?",
        ("mistaken", "--rollback"): "'mistaken' has no previous champion",
        ("mistaken", "--run", "0" * 32): "There is no run '000",
        ("mistaken", "--run", empty): f"Run {empty} has no model",
        ("mistaken", "--force"): "--force needs a reason",
        ("mistaken", "--reason", "x"): "--reason goes with --force or --rollback",
        ("mistaken", "--rollback", "--version", "2"): "not allowed with argument",
        ("mistaken", "--rollback", "--force", "--reason", "x"): "leave --force out",
        ("mistaken", "--policy", "defalt"): "Unknown policy 'defalt': did you mean default?",
        ("mistaken", "--forec"): "Unknown option --forec: did you mean --force?",
        ("a/b",): "'a/b' is no name of a registered model",
        (): "The following arguments are required: name",
    }
    for words, sentence in wrong.items():
        answer = put_up(*words)
        assert answer.code == 2, words
        assert answer.err.startswith("lit-ae: ")
        assert answer.err.count("\n") == 1, answer.err
        assert sentence in answer.err
    assert aliases(trained, "mistaken") == Standing("1", None, None)
    assert len(promotions(trained, "mistaken")) == 1


def test_a_disk_that_is_full_leaves_champion_and_run_as_they_should_be(trained, put_up, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "model_card.md")

    put_up("full", "--run", trained.runs["sound"], *POLICY)
    with monkeypatch.context() as patched:
        patched.setattr(promotion, "record", full)
        answer = put_up("full", "--run", trained.runs["other"], *POLICY)
    assert (answer.code, answer.err) == (
        2, "lit-ae: The disk of model_card.md is full: free some space, and give the command again.\n",
    )  # fmt: skip
    assert aliases(trained, "full") == Standing("1", "2", None)
    assert [run.info.status for run in promotions(trained, "full")] == ["FINISHED"]
    experiment = trained.client.get_experiment_by_name("lit-ae").experiment_id
    failed = trained.client.search_runs([experiment], "attributes.run_name = 'promote full 2'")
    assert [run.info.status for run in failed] == ["FAILED"]
    assert put_up("full", *POLICY).code == 0


def test_help_says_what_the_exit_codes_mean(put_up):
    answer = put_up("--help")
    assert answer.code == 0
    assert all(word in " ".join(answer.out.split()) for word in ("--rollback", "--unlock", "1 refused", "default"))


@pytest.mark.parametrize("name", ["data/autoencoder/weights.safetensors", "code/lit_ae/serving/scorer.py"])
def test_a_model_that_was_tampered_with_is_not_even_registered(name, trained, put_up):
    (model,) = trained.client.get_run(trained.runs["worse"]).outputs.model_outputs
    location = Path(trained.client.get_logged_model(model.model_id).artifact_location.removeprefix("file://"))
    file = location / name
    sound = file.read_bytes()
    file.write_bytes(sound[:-1] + bytes([sound[-1] ^ 1]))
    try:
        answer = put_up("tampered", "--run", trained.runs["worse"], "--force", "--reason", "at any price")
    finally:
        file.write_bytes(sound)
    assert answer.code == 2
    assert answer.err.count("\n") == 1
    assert f"{name} was changed after the model was packed" in answer.err
    assert not registry.is_registered(trained.client, "tampered")
    assert promotions(trained, "tampered") == []


def test_ctrl_c_gives_the_lock_back_and_changes_nothing(trained, put_up, monkeypatch):
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    put_up("stopped", "--run", trained.runs["sound"], *POLICY)
    with monkeypatch.context() as patched:
        patched.setattr(promotion, "gather", interrupted)
        assert put_up("stopped", "--run", trained.runs["other"], *POLICY).code == 130
    assert aliases(trained, "stopped") == Standing("1", None, None)
    assert not registry.is_registered(trained.client, "stopped" + SUFFIX)
