"""Discriminators of codes, and what they are shown."""

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_ae.networks.base import check_widths
from lit_ae.schedules import Constant


class TrainingOnly(Constant):
    """A weight in training, and none in validation and test: for a cost that is no part of the objective asked for,
    such as an adversary's own.
    """

    def __init__(self) -> None:
        super().__init__(0.0)

    def at(self, epoch: float) -> float:
        return 1.0


TRAINING_ONLY = TrainingOnly()


class Discriminator(nn.Module):
    """Tells codes of two origins apart: its logit estimates log(density of the first / density of the second).

    Args:
        latent_dim: numbers in a code.
        hidden: widths of the hidden layers.
    """

    def __init__(self, latent_dim: int, hidden: list[int]):
        super().__init__()
        check_widths("model.discriminator_hidden", hidden)
        layers: list[nn.Module] = []
        for narrow, wide in itertools.pairwise([latent_dim, *hidden]):
            layers += [nn.Linear(narrow, wide), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers, nn.Linear([latent_dim, *hidden][-1], 1))

    def forward(self, z: Tensor) -> Tensor:
        """Logits ``(N,)`` of codes ``(N, latent_dim)``, in full precision."""
        logits = self.layers(z).squeeze(1)
        return logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits

    def judge(self, z: Tensor) -> Tensor:
        """The same logits for the other side's cost: gradients reach ``z`` and not the discriminator."""
        frozen = {name: parameter.detach() for name, parameter in self.named_parameters()}
        return torch.func.functional_call(self, frozen, z)

    def cost(self, first: Tensor, second: Tensor) -> Tensor:
        """Its own cross-entropy on as many codes of either origin, in nats, ``(N,)``; log 2 when it can't tell.

        No gradient reaches the codes.
        """
        of_first, of_second = self(torch.cat([first, second]).detach()).chunk(2)
        return 0.5 * (F.softplus(-of_first) + F.softplus(of_second))


def permute_dimensions(z: Tensor) -> Tensor:
    """Codes ``(N, latent_dim)`` with each dimension shuffled over the batch by itself (Kim & Mnih 2018, algorithm 1).

    Every dimension keeps its values, and the dimensions become independent.
    """
    return z.gather(0, torch.rand(z.shape, device=z.device).argsort(0))
