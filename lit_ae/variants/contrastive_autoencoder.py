"""The contrastive autoencoder."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from lit_ae.augmentations import Augmentation, usual_for
from lit_ae.contrast import nt_xent
from lit_ae.errors import UserError
from lit_ae.latents import Point
from lit_ae.module import LitAutoencoder, Pass
from lit_ae.schedules import Schedule
from lit_ae.spec import DataSpec


class ContrastiveAutoencoder(LitAutoencoder):
    """Reconstruction, and codes by which two views of a sample find each other (Chen et al. 2020, equation 1).

    The other samples are those of the whole batch, over all processes.

    Args:
        spec: what the data is; handed over by the data module.
        contrastive: weight of the contrastive cost, in nats a sample.
        temperature: what cosine similarities are divided by.
        projection: width of the projection head's two layers, which stand between code and similarity.
        augmentation: how a view is made; by default what is usual for the kind of data.
    """

    def __init__(
        self,
        spec: DataSpec,
        *,
        contrastive: float | Schedule = 1.0,
        temperature: float = 0.5,
        projection: int = 64,
        augmentation: Callable[[DataSpec], Augmentation] | None = None,
        **kwargs: Any,
    ):
        super().__init__(spec, **kwargs)
        if temperature <= 0 or projection < 1:
            raise UserError("ContrastiveAutoencoder needs a temperature above 0 and a projection of 1 or more.")
        self.contrastive, self.temperature = Schedule.of(contrastive), temperature
        self.augmentation = (augmentation or usual_for(spec.kind))(spec)
        wide = nn.Linear(self.latent_dim, projection)
        self.head = nn.Sequential(wide, nn.ReLU(), nn.Linear(projection, projection))

    def terms(self, passed: Pass[Point]) -> dict[str, Tensor]:
        views = [self.head(self.encode(self.augmentation(passed.x))) for _ in range(2)]
        every, real, first = self.rows_of_all_processes(torch.cat(views, 1), passed.batch)
        pool = torch.stack(every.chunk(2, 1))
        cost = nt_xent(torch.stack(views), self.temperature, pool, real, first)
        return {**super().terms(passed), "contrastive": cost}

    @property
    def weights(self) -> Mapping[str, Schedule]:
        return {"contrastive": self.contrastive}
