"""Recurrent networks."""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from lit_ae.errors import UserError
from lit_ae.networks.base import Network, Sizes, Skips, check_share
from lit_ae.networks.tokens import TokenEmbedding, Tokens, places, take
from lit_ae.spec import DataSpec

Cell = Literal["gru", "lstm"]


class Recurrent(Network):
    """GRU or LSTM over the steps of a series, the tokens of a sequence, or the rows of an image.

    The code is a linear map of the encoder's last states; padded places are left out wherever they stand. The decoder
    is given the code at every step (Bowman et al. 2016, section 3) and the step before: in training the target's
    (teacher forcing), at inference its own, the expected one or for ids the likeliest (greedy); :meth:`generate` draws
    it instead.

    Args:
        spec: the data; shapes come from it.
        sizes: what the variant and the likelihood ask for.
        hidden: width of the recurrent layers.
        layers: recurrent layers of the encoder, and as many of the decoder.
        cell: gru (Cho et al. 2014) or lstm (Hochreiter & Schmidhuber 1997).
        bidirectional: the encoder also reads from the end.
        embedding: numbers that a step becomes before it is read.
        dropout: share of what goes from layer to layer that is dropped in training.
        word_dropout: share of the steps that the decoder is not shown in training (Bowman et al. 2016, section 3.1).
    """

    kinds = ("series", "sequence", "image")
    encoding = ("embedding", "encoder", "code")

    def __init__(
        self,
        spec: DataSpec,
        sizes: Sizes,
        hidden: int = 128,
        layers: int = 1,
        cell: Cell = "gru",
        bidirectional: bool = True,
        embedding: int = 64,
        dropout: float = 0.0,
        word_dropout: float = 0.0,
    ):
        super().__init__(spec, sizes)
        check_share("model.network.dropout", dropout)
        check_share("model.network.word_dropout", word_dropout)
        if hidden < 1 or layers < 1 or embedding < 1:
            raise UserError("Recurrent needs hidden, layers and embedding of at least 1.")
        self.tokens = Tokens(spec, (1, spec.shape[-1]))
        self.takes_ids, self.word_dropout = spec.kind == "sequence", word_dropout
        self.embedding = TokenEmbedding(spec, self.tokens, embedding)
        ways = 2 if bidirectional else 1
        self.encoder = _Reader(embedding, hidden, layers, cell, ways, dropout)
        self.code = nn.Linear(ways * hidden, sizes.latent_parameters * sizes.latent_dim)
        self.start = nn.Parameter(torch.zeros(embedding))
        self.unknown = nn.Parameter(torch.zeros(embedding)) if word_dropout else None
        between = dropout if layers > 1 else 0.0
        self.decoder = _CELLS[cell](embedding + sizes.latent_dim, hidden, layers, batch_first=True, dropout=between)
        self.states = 2 if cell == "lstm" else 1
        self.first_state = nn.Linear(sizes.latent_dim, self.states * layers * hidden)
        self.head = nn.Linear(hidden, sizes.outputs_per_feature * self.tokens.width)

    def encode(self, x: Tensor) -> Tensor:
        steps = self.tokens.split(x)
        real = self.tokens.real(steps)
        steps = steps if self.tokens.pad is None else take(steps, places(real, steps.shape[1]).clamp(min=0))
        return self.code(self.encoder(self.embedding(steps), real.sum(1)))

    def decode(self, z: Tensor, target: Tensor | None = None, skips: Skips = ()) -> Tensor:
        if target is None:
            return self._unroll(z, (lambda outputs: outputs.argmax(1)) if self.takes_ids else self.expected)[0]
        shown = self.embedding(self.tokens.split(target)[:, :-1])
        if self.unknown is not None and self.training:
            kept = torch.rand(*shown.shape[:2], 1, device=z.device) >= self.word_dropout
            shown = torch.where(kept, shown, self.unknown)
        first = self.start.to(shown.dtype).expand(len(z), 1, -1)
        read, _ = self._step(torch.cat([first, shown], dim=1), z, self._first_state(z))
        return self.tokens.join(self.head(read))

    def generate(self, z: Tensor, draw: Callable[[Tensor], Tensor]) -> Tensor:
        return self._unroll(z, draw)[1]

    def _first_state(self, z: Tensor) -> Tensor | tuple[Tensor, ...]:
        states = self.first_state(z).tanh().view(len(z), self.states, -1, self.decoder.hidden_size)
        parts = tuple(part.transpose(0, 1).contiguous() for part in states.unbind(1))
        return parts if self.states > 1 else parts[0]

    def _step(self, shown: Tensor, z: Tensor, state: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        return self.decoder(torch.cat([shown, z[:, None].expand(-1, shown.shape[1], -1)], dim=2), state)

    def _unroll(self, z: Tensor, choose: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
        """Outputs and x, where ``choose`` makes the step ``(N, 1, ...)`` that is fed back of one step's outputs."""
        state, shown = self._first_state(z), self.start.expand(len(z), 1, -1)
        outputs, steps = [], []
        for _ in range(self.tokens.count):
            read, state = self._step(shown, z, state)
            outputs.append(self.head(read))
            parted = outputs[-1].unflatten(2, (-1, self.tokens.width)).transpose(1, 2)
            steps.append(choose(parted[..., 0] if self.takes_ids else parted).view(len(z), 1, -1))
            shown = self.embedding(steps[-1])
        return self.tokens.join(torch.cat(outputs, dim=1)), self.tokens.join(torch.cat(steps, dim=1))[:, 0]


_CELLS: dict[Cell, type[nn.GRU] | type[nn.LSTM]] = {"gru": nn.GRU, "lstm": nn.LSTM}


class _Reader(nn.Module):
    """Recurrent layers over ``(N, T, width)`` of which the first ``lengths`` ``(N,)`` steps count: the last states.

    Reading from the end begins at a sample's own last step. Nothing leaves the device.
    """

    def __init__(self, width: int, hidden: int, layers: int, cell: Cell, ways: int, dropout: float):
        super().__init__()
        widths = [width, *[ways * hidden] * (layers - 1)]
        self.forth = nn.ModuleList(_CELLS[cell](wide, hidden, batch_first=True) for wide in widths)
        too = widths if ways == 2 else []
        self.back = nn.ModuleList(_CELLS[cell](wide, hidden, batch_first=True) for wide in too)
        self.dropout = nn.Dropout(dropout)

    def forward(self, steps: Tensor, lengths: Tensor) -> Tensor:
        ascending = torch.arange(steps.shape[1], device=steps.device).expand(len(steps), -1)
        backwards = (lengths[:, None] - 1 - ascending).where(ascending < lengths[:, None], ascending)
        last = (lengths[:, None] - 1).clamp(min=0)
        for i, forth in enumerate(self.forth):
            steps = self.dropout(steps) if i else steps
            read = forth(steps)[0]
            ends = take(read, last)[:, 0]
            if self.back:
                from_end = self.back[i](take(steps, backwards))[0]
                ends = torch.cat([ends, take(from_end, last)[:, 0]], dim=1)
                read = torch.cat([read, take(from_end, backwards)], dim=2)
            steps = read
        return ends * (lengths[:, None] > 0)
