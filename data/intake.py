"""From the pieces of a table to rows with a role: who is normal, who trains, who judges."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from data.roles import Role, Rows
from data.splits import ROLES, Shares, content_keys, places_of
from lit_ae.errors import UserError
from lit_ae.schema import Schema

Pieces = Callable[[], Iterable[pd.DataFrame]]
NORMAL = "normal"
OUT, TEST = -1, ROLES.index("test")


@dataclass(frozen=True)
class Meaning:
    """What some of a table's columns mean.

    Args:
        features: the columns that a model sees, in order.
        kind: says of each row of a frame what it is: :data:`NORMAL` or the family of its anomaly; None where nobody
            knows.
        entity: the column that says which series a row belongs to.
        time: the column that says when it was taken.
        kinds: those that are known before, :data:`NORMAL` first.
    """

    features: Sequence[str]
    kind: Callable[[pd.DataFrame], pd.Series] | None = None
    entity: str | None = None
    time: str | None = None
    kinds: Sequence[str] = (NORMAL,)


class Piece(NamedTuple):
    """Some rows of a table.

    Attributes:
        frame: the rows.
        role: of each its index among the roles, or :data:`OUT`.
        kind: see :class:`Meaning`.
        keys: hashes of the features.
    """

    frame: pd.DataFrame
    role: NDArray[np.int64]
    kind: NDArray[np.object_] | None
    keys: NDArray[np.uint64]

    def of(self, role: Role) -> "Piece":
        """The rows of one role."""
        has = self.role == ROLES.index(role)
        kind = None if self.kind is None else self.kind[has]
        return Piece(self.frame[has], self.role[has], kind, self.keys[has])


@dataclass
class Intake:
    """Gives every row a role.

    By its content's hash, so that equal rows share a role; where the table has times, by them: fit comes first, then
    tune, calibrate and test; where it has entities and no times, by the hash of the entity. Anomalies outside test are
    left out, and so are rows that equal one of a separate test table.

    Args:
        meaning: of the columns.
        shares: of the roles.
        pieces: gives the table.
        test_pieces: gives a separate test table, which leaves no row of the first one to test.
    """

    meaning: Meaning
    shares: Shares
    pieces: Pieces
    test_pieces: Pieces | None = None
    left_out: Counter[str] = field(default_factory=Counter)

    def assigned(self) -> Iterator[Piece]:
        """All rows, piece by piece, those of a separate test table first; may be asked more than once."""
        self.left_out.clear()
        tested = np.empty(0, np.uint64)
        for frame in self.test_pieces() if self.test_pieces else ():
            piece = self._known(frame, np.full(len(frame), TEST))
            tested = np.union1d(tested, piece.keys)
            yield piece
        row, total = 0, self._total()
        for frame in self.pieces():
            yield self._without(self._known(frame, self.shares.roles(self._places(frame, row, total))), tested)
            row += len(frame)

    def _known(self, frame: pd.DataFrame, role: NDArray[np.int64]) -> Piece:
        kind = self.meaning.kind(frame).to_numpy(object) if self.meaning.kind else None
        return Piece(frame, role, kind, content_keys(frame, self.meaning.features))

    def _total(self) -> int:
        return sum(len(frame) for frame in self.pieces()) if self.meaning.time else 0

    def _places(self, frame: pd.DataFrame, first: int, total: int) -> NDArray[np.float64]:
        if self.meaning.time:
            return np.arange(first, first + len(frame)) / total
        by = [self.meaning.entity] if self.meaning.entity else self.meaning.features
        return places_of(content_keys(frame, by))

    def _without(self, piece: Piece, tested: NDArray[np.uint64]) -> Piece:
        """Leaves out what may not train."""
        role = piece.role.copy()
        if self.test_pieces:
            repeated = np.isin(piece.keys, tested) & (piece.kind == NORMAL if piece.kind is not None else True)
            role[repeated] = OUT
            self._count("normal rows that the test table holds too", int(repeated.sum()))
        if piece.kind is not None:
            anomalous = (piece.kind != NORMAL) & (role != TEST)
            role[anomalous] = OUT
            self._count("anomalies outside the test rows", int(anomalous.sum()))
        return piece._replace(role=role)

    def _count(self, reason: str, rows: int) -> None:
        if rows:
            self.left_out[reason] += rows


class Numbering:
    """Gives names numbers in the order in which they come.

    Args:
        names: those that are known before.
    """

    def __init__(self, names: Sequence[str] = ()):
        self.numbers = {name: number for number, name in enumerate(names)}

    def of(self, values: Iterable[object]) -> Tensor:
        """The number of each value ``(N,)``, int64."""
        return torch.tensor([self.numbers.setdefault(str(v), len(self.numbers)) for v in values], dtype=torch.int64)


def to_rows(piece: Piece, schema: Schema, meaning: Meaning, families: Numbering, entities: Numbering) -> Rows:
    """A piece as numbers: raw ``(N, columns)``, float64."""
    anomaly = family = entity = None
    if piece.kind is not None:
        anomaly, family = torch.from_numpy((piece.kind != NORMAL).astype(bool)), families.of(piece.kind)
    if meaning.entity:
        entity = entities.of(piece.frame[meaning.entity])
    elif meaning.time:
        entity = torch.zeros(len(piece.frame), dtype=torch.int64)
    time = torch.from_numpy(seconds(piece.frame[meaning.time])) if meaning.time else None
    return Rows(schema.encode(piece.frame, "The table"), None, anomaly, family, entity, time)


def seconds(series: pd.Series) -> NDArray[np.float64]:
    """Times as seconds since 1970; numbers as they are.

    Raises:
        UserError: for what is no time, or missing.
    """
    if pd.api.types.is_numeric_dtype(series.dtype):
        values = series.to_numpy(np.float64, na_value=np.nan)
    else:
        times = pd.to_datetime(series, errors="coerce", format="mixed").dt.tz_localize(None)
        values = (times - pd.Timestamp(0)).dt.total_seconds().to_numpy(np.float64)
    if np.isnan(values).any():
        bad = int(np.isnan(values).argmax())
        wrong = "the time is missing" if pd.isna(series.iloc[bad]) else f"{series.iloc[bad]!r} is no time"
        raise UserError(f"Row {bad}, column '{series.name}': {wrong}: mend it.")
    return values


class Sample:
    """Rows that come in pieces: all of them, or an even sample of a bounded size (those with the lowest hashes).

    Args:
        most: the most rows to keep; None for all.
    """

    def __init__(self, most: int | None = None):
        self.most, self.seen = most, 0
        self._rows: list[Rows] = []
        self._keys: list[NDArray[np.uint64]] = []

    def add(self, rows: Rows, keys: NDArray[np.uint64]) -> None:
        """Takes in a piece."""
        self.seen += len(keys)
        self._rows.append(rows)
        self._keys.append(keys)
        if self.most is not None and sum(map(len, self._keys)) > 2 * self.most:
            self._join()

    @property
    def rows(self) -> Rows | None:
        """What was kept, in the order in which it came; None where nothing came."""
        if not self._rows:
            return None
        self._join()
        return self._rows[0]

    def _join(self) -> None:
        rows = Rows(*(None if one[0] is None else torch.cat(one) for one in zip(*self._rows, strict=True)))  # type: ignore[arg-type]
        keys = np.concatenate(self._keys)
        if self.most is not None and len(keys) > self.most:
            kept = np.sort(np.argpartition(keys, self.most)[: self.most])
            rows, keys = rows.take(torch.from_numpy(kept)), keys[kept]
        self._rows, self._keys = [rows], [keys]
