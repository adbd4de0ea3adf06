"""Weights of objective terms over time: pure functions of the global step, counted in epochs.

An epoch here is ``global step / steps in an epoch``, so 2.5 is the middle of the third epoch.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping

from lit_ae.describe import Described
from lit_ae.errors import UserError


class Schedule(Described, ABC):
    """A term's weight over the training."""

    final: float
    """The weight from :attr:`length` on; validation and test always use it."""

    length: float
    """Epochs until the weight stays at :attr:`final`."""

    @abstractmethod
    def at(self, epoch: float) -> float:
        """The weight at a moment of the training, in epochs from its start."""

    @staticmethod
    def of(value: "float | Schedule") -> "Schedule":
        return value if isinstance(value, Schedule) else Constant(value)


class Constant(Schedule):
    """The same weight throughout.

    Args:
        final: the weight.
    """

    length = 0.0

    def __init__(self, final: float):
        self.final = float(final)

    def at(self, epoch: float) -> float:
        return self.final


class LinearWarmup(Schedule):
    """Rises linearly from 0 and stays (Bowman et al. 2016, section 3.1).

    Args:
        final: the weight after the warm-up.
        epochs: the warm-up's length in epochs.
    """

    def __init__(self, final: float = 1.0, epochs: float = 5.0):
        if epochs <= 0:
            raise UserError(f"A warm-up of {epochs} epochs is none: give epochs above 0, or the weight itself.")
        self.final, self.length = float(final), float(epochs)

    def at(self, epoch: float) -> float:
        return self.final * min(1.0, epoch / self.length)


class Cyclical(Schedule):
    """Rises from 0 again and again, then stays (Fu et al. 2019, equation 6).

    Args:
        final: the weight at the top of each cycle and after the last.
        period: a cycle's length in epochs.
        cycles: how many cycles there are.
        rise: the share of a cycle in which the weight rises; in the rest it stays at ``final``.
    """

    def __init__(self, final: float = 1.0, period: float = 5.0, cycles: int = 4, rise: float = 0.5):
        if period <= 0 or cycles < 1 or not 0 < rise <= 1:
            raise UserError("A cyclical schedule needs a period above 0, at least 1 cycle, and a rise in (0, 1].")
        self.final, self.period, self.rise = float(final), float(period), float(rise)
        self.length = float(period * cycles)

    def at(self, epoch: float) -> float:
        if epoch >= self.length:
            return self.final
        return self.final * min(1.0, (epoch % self.period) / self.period / self.rise)


def weight_at(schedule: Schedule | None, epoch: float | None) -> float:
    """The weight at a moment of the training, the final one for None; without a schedule it is 1."""
    if schedule is None:
        return 1.0
    return schedule.final if epoch is None else schedule.at(epoch)


def check_lengths(lengths: Mapping[str, float], epochs: float) -> None:
    """Refuses a warm-up that does not come to its end in a training of so many epochs.

    Raises:
        UserError: naming the schedule.
    """
    for name, length in lengths.items():
        if length > epochs:
            raise UserError(
                f"The warm-up of {name} takes {length:g} epochs and the training only {epochs:g}: "
                "shorten it or raise trainer.max_epochs."
            )
