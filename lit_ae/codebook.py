"""A codebook that follows the vectors it stands for by moving averages."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_ae.errors import UserError
from lit_ae.latents import QuantizedCode
from lit_ae.statistics import of_the_first_process, total_over_processes


class Codebook(nn.Module):
    """Vectors ``(codes, width)``, each the moving average of the encoder's vectors that are nearest to it.

    With n the number of vectors that a code was nearest to in a step, and s their sum, over all processes:
    N <- decay N + (1 - decay) n,  m <- decay m + (1 - decay) s,  code = m / N
    (van den Oord et al. 2017, appendix A.1). A code with N below ``revive_below`` is dead, and starts again at a
    random vector of the batch with N = 1; at the first step that is every one which the batch does not use much.

    Args:
        codes: how many there are.
        width: numbers in each.
        decay: the share of the moving averages that a step keeps.
        revive_below: uses a step, on (moving) average, below which a code starts again; 0 for never.
    """

    vectors: Tensor
    counts: Tensor
    sums: Tensor

    def __init__(self, codes: int, width: int, decay: float = 0.99, revive_below: float = 0.1):
        super().__init__()
        if codes < 2 or not 0 <= decay < 1 or not 0 <= revive_below < 1:
            raise UserError("A codebook needs at least 2 codes, and decay and revive_below in [0, 1).")
        self.decay, self.revive_below = decay, revive_below
        self.register_buffer("vectors", (2 * torch.rand(codes, width) - 1) / codes)
        self.register_buffer("counts", torch.zeros(codes))
        self.register_buffer("sums", torch.zeros(codes, width))

    def forward(self, encoded: Tensor) -> QuantizedCode:
        """Each of the vectors ``(N, groups, width)`` replaced by the nearest of the codebook."""
        encoded = encoded.to(self.vectors.dtype)
        with torch.no_grad():
            indices = torch.cdist(encoded.flatten(0, 1), self.vectors).argmin(1).view(encoded.shape[:2])
        return QuantizedCode(encoded, self.vectors[indices], indices, len(self.vectors))

    @torch.no_grad()
    def update(self, latent: QuantizedCode) -> None:
        """One step of the moving averages, and of revival."""
        vectors = latent.encoded.detach().flatten(0, 1)
        with torch.autocast(vectors.device.type, enabled=False):
            uses = F.one_hot(latent.indices.flatten(), len(self.vectors)).to(vectors.dtype)
            found = total_over_processes(torch.cat([uses.sum(0)[:, None], uses.T @ vectors], dim=1))
        self.counts.lerp_(found[:, 0], 1 - self.decay)
        self.sums.lerp_(found[:, 1:], 1 - self.decay)
        seen = self.counts > torch.finfo(self.counts.dtype).tiny
        self.vectors.copy_(torch.where(seen[:, None], self.sums / self.counts[:, None], self.vectors))
        self._revive(vectors)

    def _revive(self, vectors: Tensor) -> None:
        dead = self.counts < self.revive_below
        places = torch.randint(len(vectors), (len(dead),), device=vectors.device)
        fresh = of_the_first_process(vectors[places])
        for buffer in (self.vectors, self.sums):
            buffer.copy_(torch.where(dead[:, None], fresh, buffer))
        self.counts.masked_fill_(dead, 1.0)
