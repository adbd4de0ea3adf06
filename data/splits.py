"""Which role a row of a table has: by its own content, by its time, or by the entity that it is of."""

from collections.abc import Sequence
from typing import get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data.roles import Role
from lit_ae.errors import UserError

ROLES: tuple[Role, ...] = get_args(Role)


class Shares:
    """How much of the rows each role has; fit has what the others leave.

    Args:
        tune: share for tuning.
        calibrate: share for calibration.
        test: share for testing.

    Raises:
        UserError: if one is negative, or nothing is left to train on.
    """

    def __init__(self, tune: float = 0.1, calibrate: float = 0.1, test: float = 0.2):
        if min(tune, calibrate, test) < 0 or tune + calibrate + test >= 1:
            raise UserError(
                f"data.tune_share, calibrate_share and test_share are {tune}, {calibrate} and {test}, but none may be "
                "below 0, and together they must leave something of 1 to train on."
            )
        self.calibrate = calibrate
        self.ends = np.round(np.cumsum([1 - tune - calibrate - test, tune, calibrate]), 12)

    def roles(self, places: NDArray[np.float64]) -> NDArray[np.int64]:
        """The role of each place in [0, 1), as its index in :data:`ROLES`."""
        return np.searchsorted(self.ends, places, side="right")


def content_keys(frame: pd.DataFrame, names: Sequence[str]) -> NDArray[np.uint64]:
    """A hash of each row's values in these columns ``(N,)``: equal rows have equal keys, in every process."""
    plain = frame[list(names)].apply(_plain)
    return pd.util.hash_pandas_object(plain, index=False).to_numpy(np.uint64)


def places_of(keys: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Where hashes lie between 0 and 1, evenly."""
    return (keys >> np.uint64(11)).astype(np.float64) / 2.0**53


def _plain(series: pd.Series) -> pd.Series:
    """Values whose hash does not depend on how the column is stored; -0.0 is 0.0."""
    if pd.api.types.is_numeric_dtype(series.dtype) and not pd.api.types.is_bool_dtype(series.dtype):
        return series.astype(np.float64) + 0.0
    return series.astype("string").astype(object).where(series.notna(), None)
