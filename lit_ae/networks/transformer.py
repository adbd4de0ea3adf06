"""Self-attention over tokens."""

import math
from typing import Literal

import torch
from torch import Tensor, nn

from lit_ae.errors import UserError
from lit_ae.networks.attention import TransformerBlock
from lit_ae.networks.base import Activation, MaskableNetwork, Sizes, Skips, check_share
from lit_ae.networks.tokens import TokenEmbedding, Tokens, take
from lit_ae.spec import DataSpec


class Transformer(MaskableNetwork):
    """Pre-norm attention over patches of an image, steps of a series or sequence, or cells of a row.

    The code is a linear map of the encoder's tokens, averaged; the decoder's tokens start as their position plus a
    linear map of the code, so all of x is decoded at once. Padded places are looked at by none and count for nothing:
    a token's position is the number of real ones before it.

    Args:
        spec: the data; shapes come from it.
        sizes: what the variant and the likelihood ask for.
        width: numbers in a token.
        depth: blocks of the encoder, and as many of the decoder.
        heads: attention heads; they divide the width.
        patch: side of an image's square patches in pixels.
        positions: whether the vectors that tell places apart are learned, or sines and cosines (Vaswani et al. 2017,
            section 3.5).
        activation: the blocks' non-linearity.
        dropout: share of what a block adds that is dropped in training.
    """

    encoding = ("embedding", "encoder_positions", "encoder", "code")

    def __init__(
        self,
        spec: DataSpec,
        sizes: Sizes,
        width: int = 64,
        depth: int = 2,
        heads: int = 4,
        patch: int = 2,
        positions: Literal["learned", "sinusoidal"] = "learned",
        activation: Activation = "gelu",
        dropout: float = 0.0,
    ):
        super().__init__(spec, sizes)
        check_share("model.network.dropout", dropout)
        if width < 1 or depth < 1 or patch < 1:
            raise UserError("Transformer needs width, depth and patch of at least 1.")
        self.tokens = Tokens(spec, (patch, patch))
        block = (width, heads, activation, dropout)
        self.embedding = TokenEmbedding(spec, self.tokens, width)
        self.encoder_positions = _positions(positions, self.tokens.count, width)
        self.encoder = nn.ModuleList(TransformerBlock(*block) for _ in range(depth))
        self.code = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, sizes.latent_parameters * sizes.latent_dim))
        self.seed = nn.Linear(sizes.latent_dim, width)
        self.decoder_positions = _positions(positions, self.tokens.count, width)
        self.decoder = nn.ModuleList(TransformerBlock(*block) for _ in range(depth))
        self.head = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, sizes.outputs_per_feature * self.tokens.width))

    def encode(self, x: Tensor) -> Tensor:
        tokens, positions, real = self._cut(x)
        return self._encode(tokens, positions, None if self.tokens.pad is None else real)

    def encode_visible(self, x: Tensor, seen: Tensor) -> Tensor:
        tokens, positions, real = self._cut(x)
        there, seen = seen >= 0, seen.clamp(min=0)
        return self._encode(take(tokens, seen), positions.gather(1, seen), there & real.gather(1, seen))

    def _cut(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Tokens, their positions ``(N, count)``, and which are real."""
        tokens = self.tokens.split(x)
        real = self.tokens.real(tokens)
        return tokens, (real.cumsum(1) - 1).clamp(min=0), real

    def _encode(self, tokens: Tensor, positions: Tensor, allowed: Tensor | None) -> Tensor:
        if allowed is not None:  # a sample that is all padding looks at itself, lest its attention be over nothing
            allowed = allowed | ~allowed.any(1, keepdim=True)
        hidden = self.embedding(tokens) + self.encoder_positions(positions)
        for block in self.encoder:
            hidden = block(hidden, allowed)
        shares = torch.ones_like(hidden[:, :, :1]) if allowed is None else allowed[:, :, None].to(hidden.dtype)
        return self.code((hidden * shares).sum(1) / shares.sum(1))

    def decode(self, z: Tensor, target: Tensor | None = None, skips: Skips = ()) -> Tensor:
        places = torch.arange(self.tokens.count, device=z.device)
        hidden = self.decoder_positions(places) + self.seed(z)[:, None]
        for block in self.decoder:
            hidden = block(hidden)
        return self.tokens.join(self.head(hidden))


class Sinusoids(nn.Module):
    """Sines and cosines of the position, of wavelengths between 2 pi and 20,000 pi.

    Args:
        count: positions.
        width: numbers a position.
    """

    def __init__(self, count: int, width: int):
        super().__init__()
        rates = torch.exp(torch.arange(0, width, 2) * (-math.log(10_000) / width))
        angles = torch.arange(count)[:, None] * rates
        self.table: Tensor
        table = torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1)[:, :width]
        self.register_buffer("table", table, persistent=False)

    def forward(self, places: Tensor) -> Tensor:
        return self.table[places]


def _positions(kind: Literal["learned", "sinusoidal"], count: int, width: int) -> nn.Module:
    if kind == "sinusoidal":
        return Sinusoids(count, width)
    learned = nn.Embedding(count, width)
    nn.init.normal_(learned.weight, std=width**-0.5)
    return learned
