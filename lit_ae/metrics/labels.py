"""What a few labels are worth, with and without what was learned from all rows without any."""

import torch
import torch.nn.functional as F
from sklearn.utils import resample
from torch import Tensor, nn

from lit_ae.metrics.chunks import in_chunks
from lit_ae.networks import Network

BATCH, LEAST_STEPS, LEAST_EPOCHS = 128, 1000, 10


def draw_labelled(y: Tensor, count: int, draw: int) -> Tensor:
    """Row numbers ``(count,)`` drawn without replacement, in which the classes ``y`` keep their shares."""
    rows = resample(range(len(y)), replace=False, n_samples=count, stratify=y.numpy(), random_state=draw)
    return torch.tensor(rows)


class EncoderClassifier(nn.Module):
    """A network's encoder under a linear layer.

    Args:
        network: with weights of its own.
        classes: how many.
    """

    def __init__(self, network: Network, classes: int):
        super().__init__()
        self.network = network
        self.head = nn.Linear(network.sizes.latent_parameters * network.sizes.latent_dim, classes)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, *spec.shape)`` to logits ``(N, classes)``."""
        return self.head(self.network.encode(x))

    def learn(self, x: Tensor, y: Tensor, learning_rate: float = 0.003) -> int:
        """Minimises the cross-entropy by Adam with a one-cycle learning rate, in batches drawn at random.

        Args:
            x: samples.
            y: their classes ``(N,)``.
            learning_rate: the highest.

        Returns:
            The number of steps: ten epochs, or 1,000 where that is more.
        """
        device, rows = self.head.weight.device, min(BATCH, len(x))
        steps = max(LEAST_STEPS, LEAST_EPOCHS * len(x) // rows)
        optimizer = torch.optim.Adam(self.parameters(), lr=learning_rate)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, steps)
        self.train()
        for _ in range(steps):
            batch = torch.randint(len(x), (rows,))
            optimizer.zero_grad()
            F.cross_entropy(self(x[batch].to(device)), y[batch].to(device)).backward()
            optimizer.step()
            schedule.step()
        self.eval()
        return steps

    def accuracy(self, x: Tensor, y: Tensor) -> float:
        """The share of ``x`` whose class is the most likely one."""
        logits = in_chunks(self, x, device=self.head.weight.device)
        return (logits.argmax(1) == y).double().mean().item()
