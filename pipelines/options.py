"""What a training may be told beside its model, data and trainer. Light to import: the help page reads it."""

from lit_ae.detection.settings import DetectionSettings
from lit_ae.errors import UserError


class Tracking:
    """Where a run is kept, and what it is called.

    Args:
        experiment: the MLflow experiment; under ``mlflow run`` that of the run.
        run_name: the run's name; by default it says variant, network, latent size and data.
        output_dir: folder for checkpoints, pictures, and whatever waits to be sent to the tracking server.
        pictures_every: epochs between two pictures of reconstructions; 0 for none.
    """

    def __init__(
        self,
        experiment: str = "lit-ae",
        run_name: str | None = None,
        output_dir: str = "outputs",
        pictures_every: int = 5,
    ):
        if pictures_every < 0:
            raise UserError(f"tracking.pictures_every must be 0 or more, not {pictures_every}.")
        self.experiment, self.run_name = experiment, run_name
        self.output_dir, self.pictures_every = output_dir, pictures_every


class Evaluation:
    """What is measured on the test split, and how thoroughly.

    Args:
        nll_samples: importance samples a row for the estimate of -log p(x); 0 leaves it out.
        nll_rows: test rows used for it; 0 for all.
        probe_rows: training rows of the linear probe on the code; 0 leaves it out.
        baseline_rows: most training rows that each classical detector beside the model is fitted on; 0 leaves them out.
        bootstrap: draws of the interval of the average precision; 0 leaves it out.
        longest_buffer: rows around an event that VUS-PR forgives, and of the stretches that the bootstrap of a series
            draws.
    """

    def __init__(
        self,
        nll_samples: int = 100,
        nll_rows: int = 0,
        probe_rows: int = 10_000,
        baseline_rows: int = 10_000,
        bootstrap: int = 1000,
        longest_buffer: int = 100,
    ):
        if min(nll_samples, nll_rows, probe_rows, baseline_rows, bootstrap) < 0:
            raise UserError(
                "evaluation.nll_samples, nll_rows, probe_rows, baseline_rows and bootstrap must be 0 or more."
            )
        if longest_buffer < 1:
            raise UserError(f"evaluation.longest_buffer must be at least 1, not {longest_buffer}.")
        self.nll_samples, self.nll_rows, self.probe_rows = nll_samples, nll_rows, probe_rows
        self.baseline_rows, self.bootstrap, self.longest_buffer = baseline_rows, bootstrap, longest_buffer


class Stopping:
    """When a training ends before trainer.max_epochs. Counted from the end of every warm-up.

    Args:
        patience: epochs in which the validation objective may fail to fall; none means that it never ends early.
        min_delta: what counts as a fall, in the objective's own unit.
    """

    def __init__(self, patience: int | None = None, min_delta: float = 0.0):
        if patience is not None and patience < 1:
            raise UserError(f"early_stopping.patience must be at least 1, not {patience}.")
        self.patience, self.min_delta = patience, min_delta


GROUPS = {"tracking": Tracking, "evaluation": Evaluation, "early_stopping": Stopping, "detection": DetectionSettings}
