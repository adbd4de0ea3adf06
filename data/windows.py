"""What all series share: windows over the rows of an entity, and roles that are apart in time."""

from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from data.base import Role, Rows, require_at_least
from data.intake import NORMAL, OUT, Numbering, Piece, to_rows
from data.learned_schema import Learned
from data.splits import ROLES, content_keys, places_of
from data.table_data import TableData
from lit_ae.errors import UserError
from lit_ae.spec import DataSpec
from lit_ae.windows import window_rows

SplitBy = Literal["time", "entity"]
Roles = NDArray[np.int64]


class Windows(TableData):
    """Base of data sets whose samples are windows over rows in time order, ``(window, features)``, or single rows.

    A window's label and time are those of its last row: nothing is looked at that comes later. By time, each entity's
    rows are cut into fit, tune, calibrate and test, in this order; the last ``window`` rows of each but the last are a
    gap that belongs to none of them, and that the first windows of the next one look back on. By entity, all rows of
    one have one role.

    Args:
        window: rows of a window; 1 for single rows.
        stride: rows from one training window to the next; other windows end at every row.
        split_by: ``time``, or ``entity`` for fleets.
        **loading: what every table takes, see :class:`data.table_data.TableData`.

    Raises:
        UserError: if a value makes no sense.
    """

    def __init__(self, window: int = 32, stride: int = 1, split_by: SplitBy = "time", **loading: Any):
        super().__init__(**loading)
        require_at_least("window", window, 1)
        require_at_least("stride", stride, 1)
        if split_by not in get_args(SplitBy):
            raise UserError(f"data.split_by is {split_by!r}, but it must be one of {', '.join(get_args(SplitBy))}.")
        if self.stream:
            raise UserError(f"{type(self).__name__} holds its rows in memory: set data.stream to false, or take Table.")
        self.window, self.stride, self.split_by = window, stride, split_by

    @cached_property
    def frame(self) -> pd.DataFrame:
        """All rows; those of an entity in time order."""
        return pd.concat(self.pieces()(), ignore_index=True)

    @cached_property
    def entity(self) -> Tensor:
        """The number of each row's entity ``(N,)``."""
        name = self.meaning.entity
        return Numbering().of(self.frame[name]) if name else torch.zeros(len(self.frame), dtype=torch.int64)

    @cached_property
    def anomaly(self) -> NDArray[np.bool_]:
        """Which rows are anomalies, as far as that is known ``(N,)``."""
        kind = self.meaning.kind
        return (kind(self.frame) != NORMAL).to_numpy(bool) if kind else np.zeros(len(self.frame), bool)

    @cached_property
    def roles(self) -> Roles:
        """The role of each row's window ``(N,)``, or none for those of a gap."""
        if self.split_by == "entity":
            if self.meaning.entity is None:
                raise UserError(
                    "data.split_by is entity, but no column says which row is whose: set data.entity_column."
                )
            return self.intake.shares.roles(places_of(content_keys(self.frame, [self.meaning.entity])))
        by_entity = pd.Series(self.entity.numpy()).groupby(self.entity.numpy())
        place, length = by_entity.cumcount().to_numpy(), by_entity.transform("size").to_numpy()
        role = self.roles_by_time(place, length)
        later = self.roles_by_time(np.minimum(place + self.window, length - 1), length)
        return np.where(role == later, role, OUT)

    def roles_by_time(self, place: Roles, length: Roles) -> Roles:
        """The role of the rows at these places ``(N,)`` of series of these lengths, without a gap."""
        return self.intake.shares.roles(place / length)

    def learn(self) -> Learned:
        self.prepare_data()
        has_series = self.window > 1 and not self.synthetic
        learner = self.learner(self.meaning.entity if has_series else None)
        is_fit = (self.roles == ROLES.index("fit")) & ~self.anomaly
        if not is_fit.any():
            raise self._too_few("fit")
        learner.update(self.frame[is_fit])
        return Learned(learner.schema, learner.preprocessing)

    @property
    def spec(self) -> DataSpec:
        """Windows ``(window, D)`` of standardised features, or rows ``(D,)``. Reads the training rows."""
        schema, way = self.learned
        is_row = self.window == 1
        shape = (way.features,) if is_row else (self.window, way.features)
        name, kind = type(self).__name__, "table" if is_row else "series"
        return DataSpec(name, kind, shape, way, synthetic=self.synthetic, schema=schema)  # type: ignore[arg-type]

    def load(self) -> dict[Role, Rows]:
        """Reads the series: raw ``(N, window, columns)`` or ``(N, columns)``, float64.

        Raises:
            UserError: if a file is missing or damaged, a row can't be read, or a role has no whole window.
        """
        families = Numbering(self.meaning.kinds)
        everything = self._rows(families)
        self.families = tuple(families.numbers) if self.meaning.kind else ()
        loaded = {role: self._windows(role, everything) for role in ROLES if self.is_wanted(role)}
        self.left_out |= {**self.skipped, "rows of gaps between roles": int((self.roles == OUT).sum())}
        self.left_out = {reason: rows for reason, rows in self.left_out.items() if rows}
        self.notice(loaded)
        return loaded

    def _rows(self, families: Numbering) -> Rows:
        kind = self.meaning.kind(self.frame).to_numpy(object) if self.meaning.kind else None
        piece = Piece(self.frame, self.roles, kind, np.empty(0, np.uint64))
        rows = to_rows(piece, self.learned.schema, self.meaning, families, Numbering())
        return rows._replace(entity=self.entity)

    def _windows(self, role: Role, rows: Rows) -> Rows:
        """The windows that end in one role and hold no row of another; before the test also none with an anomaly."""
        number = ROLES.index(role)
        ends = window_rows(self.entity, self.window, self.stride if role == "fit" else 1)
        ends = ends[torch.from_numpy(self.roles)[ends[:, -1]] == number]
        held = torch.from_numpy(self.roles)[ends]
        is_apart = ((held == number) | (held == OUT)).all(1)
        is_normal = ~torch.from_numpy(self.anomaly)[ends].any(1) | (role == "test")
        self.left_out[f"{role} windows that hold an anomaly"] = int((is_apart & ~is_normal).sum())
        warming = int((self.roles == number).sum()) - len(ends) if role != "fit" or self.stride == 1 else 0
        self.left_out[f"{role} rows before the first whole window of a series"] = warming + int((~is_apart).sum())
        chosen = ends[is_apart & is_normal]
        if len(chosen) < (2 if role == "fit" else 1):
            raise self._too_few(role)
        last = rows.take(chosen[:, -1])
        return last if self.window == 1 else last._replace(raw=rows.raw[chosen])

    def _too_few(self, role: Role) -> UserError:
        longest = int(self.entity.bincount().max())
        return UserError(
            f"{type(self).__name__} has too few normal windows to {role} with: data.window is {self.window} and the "
            f"longest series has {longest} rows; make the window shorter, or that role's share larger."
        )

    def example(self, rows: int = 3) -> Any:
        """The first test rows, or those of the first test window, as a frame."""
        raw = self.rows["test"].raw
        return self.learned.schema.decode(raw[:rows] if self.window == 1 else raw[0])
