"""What trials leave in Optuna and in MLflow, worked on in this process: the same truth in both."""

import statistics
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest
import torch
from mlflow import MlflowClient
from optuna.trial import TrialState

from pipelines.callbacks import Interrupted
from pipelines.store import REASON_TAG
from pipelines.terminal import keep_quiet
from pipelines.tuning.command import read
from pipelines.tuning.liveness import REASON, last_attempts
from pipelines.tuning.plan import Plan, common_cause
from pipelines.tuning.probe import Probed, probe
from pipelines.tuning.storage import open_storage
from pipelines.tuning.study import begun, fill_up
from pipelines.tuning.trial import PARENT_TAG, RUNS, STATE_TAG, TRIAL_TAG, Work
from pipelines.tuning.worker import begun as begun_trial
from pipelines.tuning.worker import claim, work_on
from tests.pipelines.helpers import history

keep_quiet()


@pytest.fixture
def worked(written, monkeypatch) -> Callable[..., Work]:
    """A study all of whose trials this process has worked on."""

    def start(**changes) -> Work:
        asked = read(["--study", str(written(**changes))])
        probed = probe(asked.definition)
        plan = Plan(asked.definition, "parent", *probed[:-1])
        work = Work(begun(open_storage("studies.journal"), plan), plan)
        fill_up(work.study, plan.search, probed)
        return work

    def through(**changes) -> Work:
        work = start(**changes)
        while (number := claim(work)) is not None:
            work_on(work, begun_trial(work, number))
        return work

    through.start = start
    return through


def run_of(store: MlflowClient, trial: optuna.trial.FrozenTrial, key: str = "0"):
    return store.get_run(trial.user_attrs[RUNS][key])


def test_complete_trials(worked, store, runs, monkeypatch):
    monkeypatch.setattr("data.base.LitData.test_dataloader", lambda *_: pytest.fail("the test split was touched"))
    work = worked(objectives={"val/kl": "minimize", "val/reconstruction": "minimize", "model.latent_dim": "minimize"})
    trials = work.study.get_trials()
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 3
    assert trials[0].params == {"model.latent_dim": 3, "model.optimizer.lr": 0.001}  # the recipe's own
    assert len(runs()) == 3
    for trial in trials:
        run = run_of(store, trial)
        assert (run.info.status, run.info.run_name) == ("FINISHED", f"trial {trial.number}")
        assert run.data.tags[PARENT_TAG] == "parent"
        assert (run.data.tags[TRIAL_TAG], run.data.tags[STATE_TAG]) == (str(trial.number), "COMPLETE")
        assert run.data.params["model/latent_dim"] == str(trial.params["model.latent_dim"])
        losses = dict(history(store, run.info.run_id, "val/loss"))
        best = min(losses, key=losses.get)
        for name, value in zip(("val/kl", "val/reconstruction"), trial.values, strict=False):
            assert value == pytest.approx(dict(history(store, run.info.run_id, name))[best])
        assert trial.values[2] == trial.params["model.latent_dim"]
        assert not [name for name in run.data.metrics if name.startswith("test/")]
        assert not (Path("outputs") / run.info.run_id / "model").exists()


def test_pruned_trials(worked, store, monkeypatch):
    monkeypatch.setattr(optuna.Trial, "should_prune", lambda trial: trial.number > 0)
    work = worked(pruner="median", trials=2)
    first, second = work.study.get_trials()
    assert (first.state, second.state) == (TrialState.COMPLETE, TrialState.PRUNED)
    assert list(first.intermediate_values) == [1, 2, 3]
    assert list(second.intermediate_values) == [1]
    run = run_of(store, second)
    assert run.info.status == "KILLED"
    assert (run.data.tags[STATE_TAG], run.data.tags[REASON_TAG]) == ("PRUNED", "pruned after epoch 1")


def test_failed_trials_are_recorded_and_the_study_goes_on_until_many_fail_in_a_row(worked, store, monkeypatch):
    def fails(*args, **kwargs):
        raise torch.OutOfMemoryError("no memory left")

    work = worked.start(trials=4, failures=2)
    with monkeypatch.context() as patched:
        patched.setattr("pipelines.tuning.trial.fit", fails)
        work_on(work, begun_trial(work, claim(work)))
    work_on(work, begun_trial(work, claim(work)))
    assert common_cause(last_attempts(work.study), 2) is None
    with monkeypatch.context() as patched:
        patched.setattr("pipelines.tuning.trial.fit", fails)
        for _ in range(2):
            work_on(work, begun_trial(work, claim(work)))
    states = [trial.state.name for trial in work.study.get_trials()]
    assert states == ["FAIL", "COMPLETE", "FAIL", "FAIL"]
    assert common_cause(last_attempts(work.study), 2) == "OutOfMemoryError: no memory left"
    run = run_of(store, work.study.get_trials()[0])
    assert run.info.status == "FAILED"
    assert (run.data.tags[STATE_TAG], run.data.tags[REASON_TAG]) == ("FAIL", "OutOfMemoryError: no memory left")


@pytest.mark.slow
def test_a_training_that_diverges_is_a_failed_trial(worked, store):
    work = worked(space={"model.optimizer.lr": {"float": [0.001, 1e30], "log": True}}, sampler="qmc", trials=4, seed=3)
    failed = [trial for trial in work.study.get_trials() if trial.state == TrialState.FAIL]
    assert failed
    assert all("is not finite" in trial.user_attrs[REASON] for trial in failed)
    assert {run_of(store, trial).info.status for trial in failed} == {"FAILED"}


@pytest.mark.slow
def test_several_seeds_have_their_median(worked, store, runs):
    work = worked(seeds=3, trials=1)
    (trial,) = work.study.get_trials()
    container = run_of(store, trial, "all")
    inner = [run_of(store, trial, key) for key in "012"]
    assert container.data.tags[PARENT_TAG] == "parent"
    assert {run.data.tags[PARENT_TAG] for run in inner} == {container.info.run_id}
    assert [run.data.params["seed_everything"] for run in inner] == ["0", "1", "2"]
    values = [min(value for _, value in history(store, run.info.run_id, "val/loss")) for run in inner]
    assert len(set(values)) == 3
    assert trial.value == pytest.approx(statistics.median(values))
    assert container.data.metrics["val/loss"] == pytest.approx(trial.value)
    assert {run.info.status for run in runs()} == {"FINISHED"}


def test_a_stopped_trial_goes_on_where_it_was_in_its_own_run(worked, store, runs, monkeypatch):
    whole = worked(trials=1).study.get_trials()[0].value
    Path("studies.journal").unlink()
    before = {run.info.run_id for run in runs()}

    def stops(self, trainer, module):
        if trainer.current_epoch == 1:
            raise Interrupted(15)

    work = worked.start(trials=1)
    with monkeypatch.context() as patched:
        patched.setattr("pipelines.tuning.trial.Report.on_train_epoch_end", stops)
        with pytest.raises(Interrupted):
            work_on(work, begun_trial(work, claim(work)))
    (run,) = [run for run in runs() if run.info.run_id not in before]
    assert (run.info.status, run.data.tags[STATE_TAG]) == ("KILLED", "WAITING")
    assert "SIGTERM" in run.data.tags[REASON_TAG]
    assert [trial.state.name for trial in work.study.get_trials()] == ["FAIL", "WAITING"]
    work_on(work, begun_trial(work, claim(work)))
    (last,) = last_attempts(work.study)
    assert (last.state, last.value) == (TrialState.COMPLETE, whole)
    assert run_of(store, last).info.run_id == run.info.run_id
    assert run_of(store, last).info.status == "FINISHED"
    assert [step for step, _ in history(store, run.info.run_id, "val/loss")] == [0, 1, 2]


@pytest.mark.slow
def test_trials_do_not_depend_on_who_takes_them(written, worked):
    params = [trial.params for trial in worked().study.get_trials()]
    Path("studies.journal").unlink()
    Path("outputs").rename("others")
    assert [trial.params for trial in worked().study.get_trials()] == params


@pytest.mark.parametrize("sampler", ["tpe", "random", "nsga2", "cmaes", "qmc"])
def test_every_sampler_gives_values_in_their_ranges(sampler, written):
    definition = read(["--study", str(written(sampler=sampler, trials=6))]).definition
    plan = Plan(definition, "parent", 3, False, "lit-ae", "outputs")
    work = Work(begun(open_storage("studies.journal"), plan), plan)
    fill_up(work.study, plan.search, Probed(3, False, "lit-ae", "outputs", {"model.latent_dim": 3}))
    seen = []
    while (number := claim(work)) is not None:
        trial = begun_trial(work, number)
        seen.append(work.plan.search.space.suggest(trial))
        work.study.tell(trial, seen[-1]["model.optimizer.lr"])
    assert len(seen) == 6
    assert len({str(one) for one in seen}) > 3
    assert all(2 <= one["model.latent_dim"] <= 16 and 0.0001 <= one["model.optimizer.lr"] <= 0.1 for one in seen)


def test_missing_trials_are_filled_up_and_no_more(worked):
    work = worked.start(trials=2)
    probed = probe(work.plan.definition)
    fill_up(work.study, work.plan.search, probed)
    assert len(work.study.get_trials()) == 2
    more = {**work.plan.definition.search, "trials": 4}
    plan = work.plan._replace(definition=work.plan.definition._replace(search=more))
    fill_up(work.study, plan.search, probed)
    assert len(work.study.get_trials()) == 4
