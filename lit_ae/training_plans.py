"""How gradients become steps: one optimizer for everything, or several that step together.

Either way a batch is one backward pass and one step of the training, so that schedules, seeds, gradient accumulation
and clipping, mixed precision, early stopping, several processes and resuming know nothing of how many optimizers
there are.
"""

from abc import ABC, abstractmethod
from typing import Any

import torch
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor, nn
from torch.optim import Optimizer

from lit_ae.errors import UserError


class TrainingPlan(ABC):
    """Which optimizer steps which parameters."""

    @abstractmethod
    def optimizer(self, model: nn.Module, main: OptimizerCallable) -> Optimizer:
        """What steps the model's parameters, where ``main`` is the optimizer that the user chose."""


class SingleOptimizer(TrainingPlan):
    """One optimizer for all parameters."""

    def optimizer(self, model: nn.Module, main: OptimizerCallable) -> Optimizer:
        return fused(main(model.parameters()))


class Adversarial(TrainingPlan):
    """One optimizer for the autoencoder and one for its adversary, on the costs of the same pass.

    The autoencoder's cost has to leave the adversary's parameters alone and the adversary's cost those of the
    autoencoder (see :class:`lit_ae.adversaries.Discriminator`). Then the gradients of the two costs' sum are
    those of an autoencoder's step followed by an adversary's step on the codes of that pass.

    Args:
        adversary: the part of the model that plays against the rest.
        own: its optimizer; None for another one of the autoencoder's kind.

    Raises:
        UserError: for an optimizer that evaluates the objective several times a step.
    """

    def __init__(self, adversary: nn.Module, own: OptimizerCallable | None = None):
        self.adversary, self.own = adversary, own

    def optimizer(self, model: nn.Module, main: OptimizerCallable) -> Optimizer:
        theirs = list(self.adversary.parameters())
        known = set(theirs)
        rest = [parameter for parameter in model.parameters() if parameter not in known]
        parts = [fused(main(rest)), fused((self.own or main)(theirs))]
        if any(isinstance(part, torch.optim.LBFGS) for part in parts):
            raise UserError("LBFGS can't step beside an adversary's optimizer: choose another one, such as Adam.")
        return Together(parts)


def fused(optimizer: Optimizer) -> Optimizer:
    """The same optimizer, stepping all parameters in one kernel where it can and nobody chose otherwise.

    Adam, AdamW, SGD and Adagrad can: the step is the same but for rounding, and takes about a third of the time on the
    CPU. Clipping and loss scaling (``16-mixed``) stay Lightning's.
    """
    for group in optimizer.param_groups:
        is_open = group.get("fused", False) is None and not group["foreach"] and not group["differentiable"]
        if is_open and all(p.device.type in ("cpu", "cuda") and p.is_floating_point() for p in group["params"]):
            group["fused"] = True
    return optimizer


class Together(Optimizer):
    """Several optimizers behind one: their groups are its groups, their state is its state.

    Args:
        parts: optimizers of different parameters; none may need a closure.
    """

    def __init__(self, parts: list[Optimizer]):
        self.parts = parts
        super().__init__([group for part in parts for group in part.param_groups], {})
        self._share()

    def _share(self) -> None:
        """Makes the parts use this optimizer's groups and state, as schedules and checkpoints change them."""
        groups = iter(self.param_groups)
        for part in self.parts:
            part.param_groups = [next(groups) for _ in part.param_groups]
            part.state = self.state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._share()

    @torch.no_grad()
    def step(self, closure: Any = None) -> Tensor | None:  # type: ignore[override]
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for part in self.parts:
            part.step()
        return loss
