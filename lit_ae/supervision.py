"""Labels of some of the rows, beside an objective that needs none."""

import torch.nn.functional as F
from torch import Tensor, nn

from lit_ae.batch import Batch
from lit_ae.errors import UserError
from lit_ae.schedules import Schedule
from lit_ae.spec import DataSpec


class LabelledShare(nn.Module):
    """A linear classifier of codes that sees the labels of a share of the rows, always the same ones.

    Args:
        spec: the data; it must have classes if the share is above 0.
        latent_dim: numbers in a code.
        share: of the rows whose labels are seen; 0 for none, and then there is no classifier.
        weight: of the cross-entropy, a number or a schedule.
    """

    def __init__(self, spec: DataSpec, latent_dim: int, share: float, weight: float | Schedule = 1.0):
        super().__init__()
        if not 0 <= share <= 1:
            raise UserError(f"model.labelled_share must lie in [0, 1], not {share}.")
        if share and not spec.classes:
            raise UserError(f"{spec.name} has no labels: set model.labelled_share to 0.")
        self.share, self.weights = share, {"classification": Schedule.of(weight)}
        self.classifier = nn.Linear(latent_dim, len(spec.classes)) if share else None

    def terms(self, codes: Tensor, batch: Batch | None) -> dict[str, Tensor]:
        """Cross-entropies in nats a labelled row: ``(N,)`` with mean right in expectation, zero for the other rows."""
        if self.classifier is None or batch is None or batch.y is None:
            return {}
        costs = F.cross_entropy(self.classifier(codes), batch.y, reduction="none")
        return {"classification": costs * batch.labelled(self.share) / self.share}

    def figures(self, codes: Tensor, batch: Batch | None) -> dict[str, Tensor]:
        """Whether each row's class is guessed right, ``(N,)``; all rows count."""
        if self.classifier is None or batch is None or batch.y is None:
            return {}
        return {"accuracy": (self.classifier(codes).argmax(1) == batch.y).float()}
