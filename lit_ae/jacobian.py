"""How strongly a code answers to its input: the squared Frobenius norm of the encoder's Jacobian."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from lit_ae.networks import MLP, Network

_Elementwise = nn.ReLU | nn.LeakyReLU | nn.ELU | nn.GELU | nn.SiLU | nn.Tanh | nn.Sigmoid | nn.Identity


def encoder_contraction(network: Network, x: Tensor, probes: int = 0) -> Tensor:
    """|dh/dx|²_F of each sample, ``(N,)``, for h = ``network.encode(x)``; differentiable in the weights.

    Args:
        network: an encoder that treats samples one by one.
        x: where the Jacobian is taken, ``(N, *spec.shape)``.
        probes: 0 for the exact norm, or directions of Hutchinson's estimate.
    """
    layers = list(network.encoder) if isinstance(network, MLP) else []
    if layers and not probes and all(isinstance(layer, nn.Linear | _Elementwise) for layer in layers):
        return _of_layers(layers, x.flatten(1))
    return squared_jacobian(network.encode, x, probes)


def squared_jacobian(function: Callable[[Tensor], Tensor], x: Tensor, probes: int = 0) -> Tensor:
    """|df/dx|²_F of each sample, ``(N,)``, by one backward pass that is vectorised over all outputs.

    With probes v of random signs, |v' df/dx|² has that norm as its mean (Hutchinson 1990): one backward direction a
    probe in place of one an output. Works where gradients are off; keeps its own where they are on.

    Args:
        function: ``(N, ...)`` to ``(N, outputs)``, each row of its own.
        x: where the Jacobian is taken.
        probes: random directions to average over; 0 for the exact norm.
    """
    is_trained = torch.is_grad_enabled()
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        outputs = function(x)
        rows, width = outputs.shape
        if probes:
            signs = torch.randint(0, 2, (probes, rows, width), device=x.device)
            directions = (2 * signs - 1).to(outputs.dtype)
        else:
            identity = torch.eye(width, dtype=outputs.dtype, device=x.device)
            directions = identity[:, None].expand(width, rows, width)
        (slopes,) = torch.autograd.grad(outputs, x, directions, create_graph=is_trained, is_grads_batched=True)
        squares = slopes.square().flatten(2).sum(2)
        return squares.mean(0) if probes else squares.sum(0)


def _of_layers(layers: list[nn.Module], x: Tensor) -> Tensor:
    """The same for W_m D_m ... W_1 D_1 W_0, linear layers W with elementwise ones of slopes D between, in closed form.

    One hidden layer: tr(D W_0 W_0' D W_1' W_1) = d' (W_0 W_0' * W_1' W_1) d, so the cost no longer grows with samples
    times features times outputs. More of them: from the code back to D_1, and the first layer by its Gram matrix.
    """
    weights = [layer.weight for layer in layers if isinstance(layer, nn.Linear)]
    slopes = _slopes(layers, x)
    if not slopes:
        return weights[0].square().sum().expand(len(x))
    first, last = weights[0], weights[-1]
    if len(slopes) == 1:
        d = slopes[0]
        return (d @ ((first @ first.T) * (last.T @ last)) * d).sum(1)
    back = last * slopes[-1][:, None]
    for weight, slope in zip(weights[-2:0:-1], slopes[-2::-1], strict=True):
        back = (back @ weight) * slope[:, None]
    if 2 * first.shape[0] > 3 * first.shape[1]:
        return (back @ first).square().sum((1, 2))
    full = torch.promote_types(back.dtype, torch.float32)
    norms: Tensor = _NormByGram.apply(back.to(full), first.to(full))
    return norms


class _NormByGram(torch.autograd.Function):
    """|B W|²_F = tr(B W W' B') of each of the matrices B ``(N, R, K)``, for one W ``(K, D)``: ``(N,)``.

    The gradient in B is 2 B W W', which the forward pass has made: one of three large products is saved.
    """

    @staticmethod
    def forward(ctx: Any, back: Tensor, first: Tensor) -> Tensor:
        by_gram = back @ (first @ first.T)
        ctx.save_for_backward(back, first, by_gram)
        return (by_gram * back).sum((1, 2))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor, Tensor]:
        back, first, by_gram = ctx.saved_tensors
        weighted = back * slope[:, None, None]
        of_gram = back.flatten(0, 1).T @ weighted.flatten(0, 1)
        return 2 * by_gram * slope[:, None, None], 2 * of_gram @ first


def _slopes(layers: list[nn.Module], x: Tensor) -> list[Tensor]:
    """The derivatives of the elementwise layers where ``x`` meets them, ``(N, width)`` each."""
    slopes = []
    for layer in layers:
        if isinstance(layer, nn.Linear):
            x = layer(x)
        else:
            slopes.append(torch.func.jvp(layer, (x,), (torch.ones_like(x),))[1])
            x = layer(x)
    return slopes
