"""The four roles of rows, and their laws: normals alone before the test, and no row in two of them."""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from lit_ae.errors import UserError

Role = Literal["fit", "tune", "calibrate", "test"]


class Rows(NamedTuple):
    """The rows of one role, in the user's own units.

    Attributes:
        raw: samples ``(N, *sample shape)``, of any number type.
        y: class labels ``(N,)``, int64, or None.
        anomaly: which rows are no normal ones ``(N,)``, bool; None where the data has no notion of normal. Without it
            all rows of fit, tune and calibrate are normal.
        family: what kind of anomaly each row is ``(N,)``, int64: its place in :attr:`LitData.families`.
        entity: which series each row belongs to ``(N,)``, int64; rows of one entity stand in time order.
        time: when each row was taken ``(N,)``, float64, seconds since 1970 or row number; a window's is its last row's.
        factors: for made-up data, what each row was made from: which value of each of :attr:`LitData.factors`,
            ``(N, factors)``, int64.
    """

    raw: Tensor
    y: Tensor | None = None
    anomaly: Tensor | None = None
    family: Tensor | None = None
    entity: Tensor | None = None
    time: Tensor | None = None
    factors: Tensor | None = None

    def take(self, rows: Tensor | slice) -> "Rows":
        """Some of the rows: a mask ``(N,)``, row numbers, or a slice."""
        return Rows(*(None if values is None else values[rows] for values in self))  # type: ignore[arg-type]


def require_normals(loaded: Mapping[Role, Rows]) -> None:
    """Refuses anomalies in fit, tune or calibrate.

    Raises:
        UserError: naming the role and the first such row.
    """
    for role, rows in loaded.items():
        if role != "test" and rows.anomaly is not None and rows.anomaly.any():
            first, count = int(rows.anomaly.int().argmax()), int(rows.anomaly.sum())
            raise UserError(
                f"{count} of the {role} rows are labelled as anomalies, the first of them row {first}: {role} takes "
                "normal rows alone, so move them to the test rows or leave them out."
            )


def without_repeats(loaded: Mapping[Role, Rows]) -> dict[Role, Rows]:
    """The roles without the rows whose equal stands in a later role (test is the last); the order stays.

    Rows are compared by the 64-bit hash of their raw values.
    """
    taken = np.empty(0, np.uint64)
    apart: dict[Role, Rows] = {}
    for role in reversed(list(loaded)):
        hashes = row_hashes(loaded[role].raw)
        apart[role] = loaded[role].take(torch.from_numpy(~np.isin(hashes, taken)))
        taken = np.union1d(taken, hashes)
    return {role: apart[role] for role in loaded}


def row_hashes(raw: Tensor) -> NDArray[np.uint64]:
    """A hash of each row's values ``(N,)``, the same in every process."""
    return pd.util.hash_pandas_object(pd.DataFrame(raw.flatten(1).numpy()), index=False).to_numpy()


def one_class(loaded: Mapping[Role, Rows], normal: Sequence[int]) -> dict[Role, Rows]:
    """The four roles where some classes are normal and the others are families of anomalies.

    Fit and tune keep the normal classes alone, every other row of tune becomes one of calibrate, and test keeps all.

    Args:
        loaded: fit, tune and test with labels.
        normal: the classes that are normal.
    """
    kept: dict[Role, Rows] = {}
    for role, rows in loaded.items():
        assert rows.y is not None
        anomaly = ~torch.isin(rows.y, torch.tensor(normal))
        judged = rows._replace(anomaly=anomaly, family=rows.y)
        kept[role] = judged if role == "test" else judged.take(~anomaly)
    tune = kept["tune"]
    return {
        "fit": kept["fit"],
        "tune": tune.take(slice(0, None, 2)),
        "calibrate": tune.take(slice(1, None, 2)),
        "test": kept["test"],
    }
