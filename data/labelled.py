"""What your own images and arrays share: roles by content, and classes that may be normal."""

from abc import abstractmethod
from typing import Any, NamedTuple

import torch
from torch import Tensor

from data.base import LitData, Role, Rows
from data.roles import row_hashes
from data.splits import ROLES, Shares, places_of
from lit_ae.errors import UserError


class Labelled(NamedTuple):
    """All rows of a data set.

    Attributes:
        raw: samples ``(N, *shape)``.
        y: their classes ``(N,)``, int64, or None.
        classes: the classes' names, in order.
    """

    raw: Tensor
    y: Tensor | None
    classes: tuple[str, ...]


class LabelledData(LitData):
    """Base of your own samples, which become roles by the hash of their content, so that equal ones share a role.

    Without labels all samples are taken for normal. With labels and ``normal`` those classes are, and the others are
    families of anomalies, which fit, tune and calibrate leave out. With labels alone nothing is normal or not, and
    there is no role to calibrate with.

    Args:
        normal: names of the classes that are normal.
        tune_share: share of the samples for tuning.
        calibrate_share: share of the samples for calibration.
        test_share: share of the samples for testing.
        **loading: what every data set takes, see :class:`data.base.LitData`.

    Raises:
        UserError: if a value makes no sense.
    """

    def __init__(
        self,
        normal: list[str] | None = None,
        tune_share: float = 0.1,
        calibrate_share: float = 0.1,
        test_share: float = 0.2,
        **loading: Any,
    ):
        super().__init__(**loading)
        self.normal = normal
        self._shares = (tune_share, calibrate_share, test_share)
        Shares(*self._shares)

    @abstractmethod
    def read(self) -> Labelled:
        """All rows.

        Raises:
            UserError: if a file is missing or damaged.
        """

    def load(self) -> dict[Role, Rows]:
        """All rows by role."""
        labelled = self.read()
        is_judged = labelled.y is None or self.normal is not None
        tune, calibrate, test = self._shares
        shares = Shares(tune, calibrate if is_judged else 0.0, test)
        role = torch.from_numpy(shares.roles(places_of(row_hashes(labelled.raw))))
        rows = self._judged(labelled)
        loaded: dict[Role, Rows] = {}
        for number, name in enumerate(ROLES):
            chosen = role == number
            if name == "calibrate" and shares.calibrate == 0:
                continue
            if name != "test" and rows.anomaly is not None:
                self.left_out["anomalies outside the test rows"] = int((rows.anomaly & (role != 3)).sum())
                chosen &= ~rows.anomaly
            if int(chosen.sum()) < (2 if name == "fit" else 1):
                raise UserError(f"{type(self).__name__} has too few samples to {name} with: give it more.")
            loaded[name] = rows.take(chosen)
        return loaded

    def _judged(self, labelled: Labelled) -> Rows:
        rows = Rows(labelled.raw, labelled.y)
        if self.normal is None:
            return rows
        if labelled.y is None or not set(labelled.classes) > set(self.normal) > set():
            known = ", ".join(labelled.classes) or "none: there are no labels"
            raise UserError(f"data.normal is {self.normal}, but it must name some of the classes, not all ({known}).")
        self.families = labelled.classes
        numbers = torch.tensor([labelled.classes.index(name) for name in self.normal])
        return rows._replace(anomaly=~torch.isin(labelled.y, numbers), family=labelled.y)
