"""What a training may be told beside its model, data and trainer. Light to import: the help page reads it."""

from typing import Literal

from lit_ae.detection.settings import DetectionSettings
from lit_ae.errors import UserError


class Tracking:
    """Where a run is kept, and what it is called.

    Args:
        experiment: the MLflow experiment; under ``mlflow run`` that of the run.
        run_name: the run's name; by default it says variant, network, latent size, data and seed.
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
        information_rows: test rows among which the mutual information of code and input is estimated, by way of all
            their pairs; 0 leaves it out.
        probe_rows: training rows of what is fitted on the code: linear probe, nearest neighbours, and for data with
            known factors the predictors of disentanglement; 0 leaves them out.
        neighbours: how many of the nearest neighbours vote on a class; 0 leaves that out.
        label_efficiency: numbers of labels, such as [100, 1000, all], at which classifiers on the frozen code, on the
            same network from scratch, and on x itself are compared; costs many small trainings, none by default.
        label_draws: draws of the labelled rows, each with its own initial weights from scratch.
        fid_samples: samples from the prior of which FID, precision and recall are measured; 0, the default, leaves them
            out. They need the feature network that python -m pipelines.feature_network makes.
        features: folder of the feature networks.
        drawn_strings: strings that are drawn from a generative model of molecules and judged; 0 leaves it out.
        compression_rows: test images whose code is compressed, and compared with JPEG; 0 leaves it out.
        baseline_rows: most training rows that each classical detector beside the model is fitted on; 0 leaves them out.
        bootstrap: draws of the interval of the average precision; 0 leaves it out.
        false_alarm_rates: shares of false alarms at each of which the highest recall is reported.
        tsne_rows: test rows in the pictures of the code by t-SNE, which takes longer than all other pictures; 0 leaves
            them out.
        longest_buffer: rows around an event that VUS-PR forgives, and of the stretches that the bootstrap of a series
            draws.
    """

    def __init__(
        self,
        nll_samples: int = 100,
        nll_rows: int = 0,
        information_rows: int = 10_000,
        probe_rows: int = 10_000,
        neighbours: int = 5,
        label_efficiency: list[int | Literal["all"]] = [],  # noqa: B006 - never changed, and shown as the default
        label_draws: int = 3,
        fid_samples: int = 0,
        features: str = "~/.cache/lit_ae/feature_networks",
        compression_rows: int = 1000,
        drawn_strings: int = 1000,
        baseline_rows: int = 10_000,
        bootstrap: int = 1000,
        false_alarm_rates: list[float] = [0.01, 0.05],  # noqa: B006
        tsne_rows: int = 2000,
        longest_buffer: int = 100,
    ):
        self.nll_samples, self.nll_rows, self.information_rows = nll_samples, nll_rows, information_rows
        self.probe_rows, self.neighbours = probe_rows, neighbours
        self.compression_rows, self.drawn_strings = compression_rows, drawn_strings
        self.baseline_rows, self.bootstrap, self.tsne_rows = baseline_rows, bootstrap, tsne_rows
        if negative := [f"evaluation.{name}" for name, value in vars(self).items() if value < 0]:
            raise UserError(f"{' and '.join(negative)} must be 0 or more.")
        if fid_samples < 0 or fid_samples == 1:
            raise UserError(f"evaluation.fid_samples must be 0, or 2 or more, not {fid_samples}.")
        if any(count != "all" and count < 1 for count in label_efficiency) or label_draws < 1:
            raise UserError("evaluation.label_efficiency needs numbers above 0 or all, and label_draws at least 1.")
        if longest_buffer < 1:
            raise UserError(f"evaluation.longest_buffer must be at least 1, not {longest_buffer}.")
        if wrong := [rate for rate in false_alarm_rates if not 0 < rate < 1]:
            raise UserError(f"evaluation.false_alarm_rates holds {wrong[0]:g}, but each must lie between 0 and 1.")
        self.false_alarm_rates = list(false_alarm_rates)
        self.label_efficiency, self.label_draws = label_efficiency, label_draws
        self.fid_samples, self.features, self.longest_buffer = fid_samples, features, longest_buffer


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
