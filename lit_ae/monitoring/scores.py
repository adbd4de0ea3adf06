"""Whether the bulk of the rows has moved, and whether more of them alarm than was promised."""

from typing import NamedTuple

import numpy as np

from lit_ae.monitoring.features import Difference, ks_p_value
from lit_ae.monitoring.profile import Profile
from lit_ae.monitoring.ranks import strangeness
from lit_ae.monitoring.tally import CELLS, Tally
from lit_ae.proportions import clopper_pearson

TAIL = 0.2  # ranks below this are the strangest rows, where anomalies are found


class Alarms(NamedTuple):
    """How many rows alarm.

    Attributes:
        rate: their share of the scored rows.
        interval: it lies between the two with 95 %, by effective rows (Clopper & Pearson 1934).
        p_more: of the test that no more alarm than the calibration promises.
    """

    rate: float
    interval: tuple[float, float]
    p_more: float


def bulk_difference(tally: Tally, profile: Profile) -> Difference:
    """How far the rows outside of the tail are from normal ones among themselves.

    Anomalies add to the tail and leave the shape of the rest as it is, however many they are; what moves normal rows
    changes the shape of the rest (the reasoning of Storey 2002 on p-values above a bound).
    """
    bulk = tally.ranks[int(TAIL * CELLS) :]
    if not bulk.sum():
        return Difference(1.0, 0.0) if tally.scored else Difference(0.0, 1.0)
    even = np.full(len(bulk), 1 / len(bulk))
    distance = float(np.abs((bulk / bulk.sum() - even).cumsum()).max())
    known, block = profile.promise.effective_rows * (1 - TAIL), profile.promise.block_rows
    return Difference(distance, ks_p_value(distance, bulk.sum() / block, known))


def middle(tally: Tally) -> float:
    """How far the median row's strangeness lies from that of normal rows, in standard deviations."""
    place = np.searchsorted(tally.ranks.cumsum(), tally.scored / 2)
    return float(strangeness(np.array([(place + 0.5) / CELLS]))[0])


def alarms_of(tally: Tally, profile: Profile) -> Alarms:
    """The alarm rate of rows, and whether it is more than normal rows would have."""
    from scipy.stats import betabinom

    block = profile.promise.block_rows
    rows, alarms = max(1, tally.scored // block), tally.alarms / block
    more = betabinom.sf(np.ceil(alarms) - 1, rows, *profile.promise.law)
    return Alarms(tally.alarms / max(1, tally.scored), clopper_pearson(alarms, rows), float(more))
