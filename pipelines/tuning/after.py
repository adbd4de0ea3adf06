"""What comes after a study: its chosen trial trained on fit + tune with several seeds, tested once, and registered."""

import os
import signal
import statistics
import subprocess
import sys
from pathlib import Path

import yaml
from mlflow import MlflowClient
from mlflow.entities import Run
from optuna import Study
from optuna.trial import FrozenTrial

from lit_ae.errors import UserError
from pipelines.registry import CHALLENGER, register
from pipelines.store import connect, find_experiment, tracking_uri
from pipelines.tracking import Tracker
from pipelines.tuning.command import Running
from pipelines.tuning.liveness import slot
from pipelines.tuning.plan import Plan, plan_of
from pipelines.tuning.storage import patiently
from pipelines.tuning.trial import PARENT_TAG, STUDY_TAG, TRIAL_TAG

FINALS = "finals"  # the study's attribute: MLflow run by trial and seed


def train_chosen(study: Study, choice: FrozenTrial, running: Running, tracker: Tracker) -> None:
    """Trains the trial again as ordinary runs, and logs mean and spread of their test figures.

    Raises:
        UserError: a training did not finish.
    """
    plan = plan_of(study)
    assert plan is not None
    folder = tracker.directory / "chosen"
    runs = [trained(study, plan, choice, number, folder) for number in range(running.final_seeds)]
    shared = set.intersection(*({name for name in run.data.metrics if name.startswith("test/")} for run in runs))
    for name in sorted(shared):
        values = [run.data.metrics[name] for run in runs]
        spread = statistics.stdev(values) if len(values) > 1 else 0.0
        tracker.log_metrics({f"chosen/{name}": statistics.mean(values), f"chosen_sd/{name}": spread}, 0)
        print(f"  {name:28} {statistics.mean(values):.5g} ± {spread:.2g}  ({len(values)} seeds)")
    if running.register:
        challenge(running.register, runs[0])


def trained(study: Study, plan: Plan, choice: FrozenTrial, number: int, folder: Path) -> Run:
    """The finished run of one seed, trained now unless it was before.

    Raises:
        UserError: it did not finish.
    """
    client = connect(tracking_uri())
    key = f"{slot(choice)}/{number}"
    run_id = study.user_attrs.get(FINALS, {}).get(key)
    if run_id is None:
        run_id = made(client, study, plan, choice, number)
        patiently(lambda: study.set_user_attr(FINALS, {**study.user_attrs.get(FINALS, {}), key: run_id}))
    run = client.get_run(run_id)
    if run.info.status != "FINISHED":
        resume = ["--resume", run_id] if run.data.params else []
        train([*command(plan, choice, number, folder), *resume], run_id)
    run = client.get_run(run_id)
    if run.info.status != "FINISHED":
        raise UserError(
            f"The training of the chosen trial did not finish: see run {run_id}, and give the command again."
        )
    return run


def made(client: MlflowClient, study: Study, plan: Plan, choice: FrozenTrial, number: int) -> str:
    """An empty run inside the study's, as ``mlflow run`` makes one."""
    tags = {PARENT_TAG: plan.parent, STUDY_TAG: study.study_name, TRIAL_TAG: str(slot(choice))}
    experiment = find_experiment(client, tracking_uri(), plan.experiment)
    return str(client.create_run(experiment, tags=tags, run_name=name_of(plan, choice, number)).info.run_id)


def name_of(plan: Plan, choice: FrozenTrial, number: int) -> str:
    """What the run is called."""
    return f"{plan.definition.name} trial {slot(choice)} on fit + tune, seed {plan.definition.base_seed + number}"


def command(plan: Plan, choice: FrozenTrial, number: int, folder: Path) -> list[str]:
    """An ordinary training with the trial's parameters, on fit + tune."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for place, section in enumerate(plan.definition.sections):
        files.append(folder / f"training_{place}.yaml")
        files[-1].write_text(yaml.safe_dump(section))
    configs = [f"--config={file}" for file in files]
    seed = f"--seed_everything={plan.definition.base_seed + number}"
    changes = [*plan.definition.changes(choice.params), "--data.fit_on_tune=true", seed]
    name = f"--tracking.run_name={name_of(plan, choice, number)}"
    return [sys.executable, "-m", "pipelines.train", *configs, *changes, name]


def train(words: list[str], run_id: str) -> None:
    """Runs the training in a process of its own, which ends with this one."""
    training = subprocess.Popen(words, env=os.environ | {"MLFLOW_RUN_ID": run_id}, start_new_session=True)
    try:
        training.wait()
    except BaseException:
        training.send_signal(signal.SIGTERM)
        training.wait()
        raise


def challenge(name: str, run: Run) -> None:
    """Registers the run's model under the name as ``challenger``."""
    version = register(connect(tracking_uri()), name, run.info.run_id).version
    print(f"Registered  models:/{name}@{CHALLENGER} (version {version}): the first seed's, chosen by no test figure")
