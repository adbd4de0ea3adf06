"""Self-attention, and the block of a transformer."""

import torch.nn.functional as F
from torch import Tensor, nn

from lit_ae.errors import UserError
from lit_ae.networks.base import Activation, activation


class SelfAttention(nn.Module):
    """Scaled dot-product attention with several heads (Vaswani et al. 2017, section 3.2).

    Args:
        width: numbers in a token.
        heads: heads that share them.

    Raises:
        UserError: the heads don't divide the width.
    """

    def __init__(self, width: int, heads: int):
        super().__init__()
        if heads < 1 or width % heads:
            raise UserError(f"{heads} heads can't share a width of {width}: choose a number that divides it.")
        self.heads = heads
        self.queries_keys_values = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor, allowed: Tensor | None = None) -> Tensor:
        """``(N, T, width)`` to the same; ``allowed`` ``(N, T)`` says which tokens may be looked at."""
        q, k, v = self.queries_keys_values(x).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mask = None if allowed is None else allowed[:, None, None, :]
        return self.out(F.scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(1, 2).flatten(2))


class TransformerBlock(nn.Module):
    """Attention and a two-layer perceptron, each after a layer normalisation and beside a shortcut (Xiong et al. 2020).

    Args:
        width: numbers in a token.
        heads: heads that share them.
        activation_name: the perceptron's non-linearity; its hidden layer is 4 times as wide as a token.
        dropout: share of what both add that is dropped in training.
    """

    def __init__(self, width: int, heads: int, activation_name: Activation, dropout: float):
        super().__init__()
        self.before_attention, self.before_perceptron = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = SelfAttention(width, heads)
        self.perceptron = nn.Sequential(
            nn.Linear(width, 4 * width), activation(activation_name), nn.Linear(4 * width, width)
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, allowed: Tensor | None = None) -> Tensor:
        """``(N, T, width)`` to the same; ``allowed`` ``(N, T)`` says which tokens may be looked at."""
        x = x + self.dropout(self.attention(self.before_attention(x), allowed))
        return x + self.dropout(self.perceptron(self.before_perceptron(x)))
