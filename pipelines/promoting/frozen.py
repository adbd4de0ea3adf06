"""The frozen rows that both models are judged on: those of the champion's run, made again and compared by digest."""

import json
from dataclasses import dataclass
from typing import Any

import lightning as L

from data import LitData
from data.base import Role
from lit_ae.errors import UserError
from lit_ae.spec import DataSpec
from pipelines.command_line import local_file, read_yaml
from pipelines.promoting.contender import Contender
from pipelines.seen import SeenBy, check_fit, configured

FROZEN: tuple[Role, ...] = ("test", "calibrate")


@dataclass(frozen=True)
class Recipe:
    """What a run's rows follow from."""

    data: Any
    seed: int


def recipe_of(contender: Contender) -> Recipe:
    """From the run's resolved configuration.

    Raises:
        UserError: the run has none, or it says nothing of data.
    """
    run_id = contender.run.info.run_id
    config = read_yaml(local_file(f"runs:/{run_id}/config.yaml"))
    if "data" not in config:
        raise UserError(
            f"The configuration of run {run_id} has no section data: promote models that were trained here."
        )
    seed = config.get("seed_everything")
    return Recipe(config["data"], seed if isinstance(seed, int) else 0)


def rows_of(contender: Contender) -> LitData:
    """The data of a contender's run, read again.

    Raises:
        UserError: the data is not what the run has seen.
    """
    recipe = recipe_of(contender)
    L.seed_everything(recipe.seed, verbose=False)
    data: LitData = configured([f"--data={json.dumps(recipe.data)}"])["data"]
    data.prepare_data()
    data.setup("test")
    logged = contender.run.data.params.get("data/digest")
    if data.digest != logged:
        raise UserError(
            f"The data of run {contender.run.info.run_id} are not what it has seen (digest {data.digest[:12]} here, "
            f"{(logged or 'none')[:12]} there): give the same files by LIT_AE_DATA."
        )
    return data


def why_foreign(challenger: Contender, champion: Contender, data: LitData) -> str | None:
    """Why the two were not trained beside the same test and calibration rows; None where they were.

    Args:
        challenger: whose data is made again, unless its recipe is the champion's.
        champion: gives the way in which rows are read.
        data: the champion's.
    """
    if recipe_of(challenger) == recipe_of(champion):
        return None
    theirs = rows_of(challenger)
    spec = champion.model.spec
    try:
        check_fit(spec, theirs.spec)
        same = frozen_digest(spec, theirs) == frozen_digest(spec, data)
    except UserError as misfit:
        return str(misfit).removesuffix(".")
    if same:
        return None
    return (
        f"it was trained beside other test rows ({theirs.spec.name}, run {challenger.run.info.run_id}) than the "
        f"champion ({data.spec.name}, run {champion.run.info.run_id}): train it on the champion's data"
    )


def frozen_digest(spec: DataSpec, data: LitData) -> str:
    """SHA-256 (hex) of the test and calibration rows with their labels, as a model of this spec reads them."""
    seen = SeenBy(spec, data)
    return seen.digest_of(*(role for role in FROZEN if role in seen.rows))
