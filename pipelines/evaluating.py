"""An evaluation from the first check to the report: read it from :func:`evaluate_model` downwards."""

from pathlib import Path
from typing import Any

import lightning as L

from lit_ae.detection.detector import Detector
from lit_ae.module import LitAutoencoder
from lit_ae.serving.files import load, load_detector
from pipelines.configuration import TRAINER_DEFAULTS
from pipelines.evaluate import Question
from pipelines.evaluation import evaluate
from pipelines.models import fetch_model
from pipelines.options import Evaluation, Tracking
from pipelines.portfolio import draw_portfolio
from pipelines.provenance import code_version, describe_run
from pipelines.seen import SeenBy, check_fit, configured
from pipelines.summary import print_figures, ui_command, write_figures
from pipelines.terminal import keep_quiet
from pipelines.tracking import Tracker


def evaluate_model(question: Question) -> int:
    """Judges one model on one data set as exactly one MLflow run; returns the exit code.

    Raises:
        UserError: for a mistake; where it can be seen before the run is opened, none is.
    """
    keep_quiet()
    asked = configured(question.arguments)
    tracking: Tracking = asked["tracking"]
    folder = fetch_model(question.model, Path(tracking.output_dir))
    model = load(folder)
    data = SeenBy(model.spec, asked["data"])
    data.prepare_data()
    check_fit(model.spec, data.data.spec)
    data.setup("test")
    name = tracking.run_name or f"evaluate {describe_run(model, data)[0]}"
    tracker = Tracker.open(tracking.experiment, name, output_dir=Path(tracking.output_dir))
    try:
        judge(question.model, load_detector(folder, model), model, data, asked["evaluation"], tracker)
    except BaseException as error:
        tracker.finish("KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED", str(error))
        raise
    tracker.finish("FINISHED")
    return 0


def judge(
    address: str,
    detector: Detector | None,
    model: LitAutoencoder,
    data: SeenBy,
    asked: Evaluation,
    tracker: Tracker,
) -> None:
    """Figures, pictures and the report, in the run."""
    description = f"{describe_run(model, data)[1]} Evaluation of {address}."
    told = {"variant": type(model).__name__, "network": type(model.network).__name__, "evaluated": address}
    tracker.set_tags({**told, "data": data.spec.name, "synthetic": str(data.spec.synthetic).lower()})
    tracker.set_tags(code_version())
    tracker.log_params({"evaluated": address, **{f"evaluation/{k}": v for k, v in vars(asked).items()}})
    shape = model.spec.shape
    source = f"{type(data.data).__name__}, {data.data.root}"
    tracker.log_dataset(data.spec.name, data.digest, {"test": data.split_sizes["test"]}, source, shape)
    verdict = evaluate(model, data, asked, tester(), detector)
    tracker.log_metrics(verdict.figures, 0)
    write_figures(verdict, tracker, description)
    pictures = draw_portfolio(model.cpu(), data, verdict, {}, tracker, asked.tsne_rows)
    print_figures(verdict, f"{type(model).__name__} on {data.spec.name}, {data.split_sizes['test']:,} test rows")
    print(f"\nPictures    {pictures}\nRun         {tracker.run_id}\nLook        {ui_command()}")


def tester() -> L.Trainer:
    """A Trainer of one device that logs nothing."""
    options: dict[str, Any] = {**TRAINER_DEFAULTS, "logger": False, "enable_checkpointing": False, "devices": 1}
    return L.Trainer(**options, enable_progress_bar=False, enable_model_summary=False)
