"""How long the gradients of a model's parts are."""

import torch
from torch import Tensor, nn
from torch.nn.utils import get_total_norm

from lit_ae.metrics.totals import Totals


def parts_of(model: nn.Module) -> dict[str, list[nn.Parameter]]:
    """The trained parameters by what they belong to: the network's encoder and decoder, and whatever else there is.

    Other parts (discriminator, likelihood, projection head …) have the names of the model's attributes.
    """
    encoding = getattr(getattr(model, "network", None), "encoding", ())
    parts: dict[str, list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        part, child, *_ = *name.split("."), ""
        if part == "network":
            part = "encoder" if child in encoding else "decoder"
        if parameter.requires_grad:
            parts.setdefault(part, []).append(parameter)
    return parts


class GradientNorms(Totals):
    """The mean over the steps that it is shown of the Euclidean length of each part's gradient, before it is clipped.

    Steps whose gradient is not finite, which mixed precision leaves out, don't count. No host synchronisation.

    Args:
        model: its parts are those of :func:`parts_of`.
    """

    lengths: Tensor
    steps: Tensor

    def __init__(self, model: nn.Module):
        super().__init__()
        self._parts = parts_of(model)
        for state in ("lengths", "steps"):
            self.add_state(state, torch.zeros(len(self._parts)), dist_reduce_fx="sum")

    def update(self) -> None:
        """Takes in the gradients that the parameters have now, the same in every process."""
        found = [[p.grad for p in part if p.grad is not None] for part in self._parts.values()]
        lengths = torch.stack([get_total_norm(gradients).to(self.lengths) for gradients in found])
        finite = lengths.isfinite()
        self.lengths += torch.where(finite, lengths, 0)
        self.steps += finite

    def compute(self) -> dict[str, Tensor]:
        """By part, the mean length; 0 where there was no step."""
        return dict(zip(self._parts, self.lengths / self.steps.clamp(min=1), strict=True))
