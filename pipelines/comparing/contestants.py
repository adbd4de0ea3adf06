"""Which models are compared: addresses and filters made into models, each with the run that it comes from."""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException

from lit_ae.errors import UserError
from pipelines.command_line import local_file, read_yaml
from pipelines.compare import Question
from pipelines.delivery import summary
from pipelines.models import RUN_ID, fetch_model
from pipelines.registry import answering, model_of, origin_of
from pipelines.store import find_run, tracking_uri, without_password
from pipelines.values import closest

NOT_ABOUT_THE_MODEL = ("seed_everything", "tracking", "evaluation", "config")
OF_THE_MACHINE = ("root", "seed")  # options of the data that change no row
MOST_RUNS = 200


@dataclass(frozen=True)
class Contestant:
    """A model that takes part.

    Attributes:
        address: as it was given; of a filter's runs, the run's id.
        folder: the model's own files.
        run: the run that it comes from, or None.
        config: that run's resolved configuration, or None.
        stands_alone: whether it is a group by itself, as what was named by a registered name or a folder is.
    """

    address: str
    folder: Path
    run: Run | None = None
    config: dict[str, Any] | None = field(default=None, repr=False)
    stands_alone: bool = False

    @property
    def name(self) -> str:
        """What people call it."""
        return self.address if self.stands_alone or self.run is None else str(self.run.info.run_name)

    @property
    def run_id(self) -> str | None:
        return None if self.run is None else str(self.run.info.run_id)

    @property
    def seed(self) -> int | None:
        """What the training was seeded with."""
        return None if self.config is None else self.config.get("seed_everything")

    @property
    def make(self) -> str:
        """What is the same for trainings that differ by their seed alone."""
        if self.config is None or self.stands_alone:
            return self.address
        told = {name: part for name, part in self.config.items() if name not in NOT_ABOUT_THE_MODEL}
        data = told.get("data")
        if isinstance(data, dict):
            options = {k: v for k, v in (data.get("init_args") or {}).items() if k not in OF_THE_MACHINE}
            told["data"] = {**data, "init_args": options}
        return json.dumps(told, sort_keys=True)


def contestants(asked: Question, client: MlflowClient) -> list[Contestant]:
    """Every model that was named, and then those that the filter finds; each once.

    Raises:
        UserError: one is not there or has no model, or there are fewer than two.
    """
    found = [contestant(address, client, asked.output_dir) for address in asked.models]
    if asked.filter is not None:
        ids = filtered(client, asked.experiment, asked.filter)
        found += [contestant(run_id, client, asked.output_dir) for run_id in ids]
    once: dict[str | None, Contestant] = {}
    for one in found:
        once.setdefault(one.address if one.stands_alone else one.run_id, one)
    kept = list(once.values())
    if len(kept) < 2:
        raise UserError(f"There is {len(kept)} model to compare, and there must be two: name more, or widen --filter.")
    return kept


def contestant(address: str, client: MlflowClient, output_dir: Path) -> Contestant:
    """The model at an address.

    Raises:
        UserError: nothing is there, or it has no model.
    """
    run_id = origin_of(client, address).run_id
    of_run = re.fullmatch(r"runs:/([0-9a-f]{32})/model/?", address) or RUN_ID.fullmatch(address)
    run = find_run(client, tracking_uri(), run_id) if run_id else None
    if of_run and run_id and not (output_dir / run_id / "model").is_dir():
        model_of(client, run_id)
    folder = fetch_model(str(run_id) if of_run else address, output_dir)
    return Contestant(address, folder, run, config_of(run, output_dir), stands_alone=not of_run)


def config_of(run: Run | None, output_dir: Path) -> dict[str, Any] | None:
    """The resolved configuration that the run has kept; None for no run, or one that keeps none."""
    if run is None:
        return None
    try:
        return read_yaml(local_file(f"runs:/{run.info.run_id}/config.yaml", output_dir))
    except UserError:
        return None


def filtered(client: MlflowClient, experiment: str, query: str) -> list[str]:
    """The ids of the runs with a model that MLflow's search finds, the oldest first.

    Raises:
        UserError: there is no such experiment, the query can't be read, or nothing is found.
    """
    with answering():
        names = [one.name for one in client.search_experiments()]
        known = client.get_experiment_by_name(experiment)
    place = without_password(tracking_uri())
    if known is None:
        nearest = closest(experiment, names)
        hint = f"did you mean {nearest}?" if nearest else f"there are {', '.join(names)}."
        raise UserError(f"There is no experiment '{experiment}' in {place}: {hint}")
    try:
        runs = client.search_runs([known.experiment_id], query, max_results=MOST_RUNS, order_by=["start_time ASC"])
    except MlflowException as error:
        raise UserError(f'--filter "{query}" can\'t be read: {summary(error)}') from error
    with_model = [run for run in runs if run.outputs and run.outputs.model_outputs]
    if not with_model:
        what = f"only runs without a model ({len(runs)})" if runs else "no run"
        raise UserError(f"--filter \"{query}\" finds {what} in the experiment '{experiment}': widen it.")
    return [str(run.info.run_id) for run in with_model]
