"""What to type next: the exact command of what is to be done."""

from pathlib import Path

from lit_ae.monitoring.decision import Action
from pipelines.registry import Origin

NORMALS = "CONFIRMED_NORMALS.csv"
STUDY = "retrain"


def next_step(action: Action, address: str, origin: Origin, output_dir: Path) -> str | None:
    """The command; None where nothing is to be done."""
    if action == "nothing":
        return None
    if action == "retrain":
        return retraining(address, origin)
    where = "" if output_dir == Path("outputs") else f" --output_dir {output_dir}"
    return f"python -m pipelines.{action} {address} {NORMALS}{where}"


def retraining(address: str, origin: Origin) -> str:
    """The study that searches the model's options again, from the configuration of its own training."""
    called = origin.name or (origin.run_id or Path(address).name)[:8]
    recipe = f"runs:/{origin.run_id}/config.yaml" if origin.run_id else "CONFIG.yaml"
    register = f" --register {origin.name}" if origin.name else ""
    return f"python -m pipelines.tune --study {STUDY} --name retrain_{called} --recipe {recipe}{register}"
