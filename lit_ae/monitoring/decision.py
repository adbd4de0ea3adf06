"""What the evidence says, and what to do: a pure function, whose rule stands in docs/monitoring.md.

1. A column is gone or holds something else, or categories that training has not seen are frequent among rows that do
   not alarm: **retrain**.
2. The bulk of the scores has moved: the world is not what it was. Most features moved, the code's centre lies far
   away, or most rows alarm: **retrain**. Some features or the code moved, or the scores moved far: **adapt**. Else the
   scores alone have moved: **recalibrate**.
3. The bulk stands, and confirmed normal rows alarm more often than promised: **recalibrate**.
4. The bulk stands, and more rows alarm than promised: these are anomalies, which the model is there to find: nothing.
5. Else nothing.
"""

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

Action = Literal["nothing", "recalibrate", "adapt", "retrain"]
State = Literal["stationary", "more anomalies", "the world moved", "the schema changed", "unclear"]
EXIT_CODES: dict[Action, int] = {"nothing": 0, "recalibrate": 10, "adapt": 11, "retrain": 12}

BULK = 0.05  # distance of the bulk of the ranks that counts
FEATURE = 0.1  # distance of a feature that counts, beyond its own unrest
UNSEEN = 0.02  # share of rows with an unseen category that counts
LATENT, FAR_LATENT = 0.5, 3.0  # standard deviations of the code's centre
FAR_SCORES = 2.0  # standard deviations of the scores' middle beyond which a threshold alone would blind the model
MOST_FEATURES = 0.5  # share of the features
MOST_ALARM = 0.5  # share of the rows
LEVEL = 0.01  # of the tests where a stream has rung
LOOK_LEVEL = 0.005  # of all tests of a look where none has, at most
ROWS_A_FALSE_ALARM = 200_000  # stationary rows of the tests alone; the streams have as much


class Moved(NamedTuple):
    """A feature that is not what it was.

    Attributes:
        name: of the column.
        distance: from normal, between 0 and 1.
        what: in which way.
    """

    name: str
    distance: float
    what: str


@dataclass(frozen=True)
class Evidence:
    """What was found of rows.

    Attributes:
        rows: scored ones.
        has_rung: whether a stream detector noticed a change.
        bulk: distance of the bulk of the ranks.
        bulk_moved: whether that is more than chance.
        middle: standard deviations by which the scores' middle has moved.
        alarm_rate: share of the rows that alarm.
        more_alarms: whether that is more than promised.
        moved: features, those furthest away first.
        features: how many there are.
        latent: standard deviations between the code's centre and where it was; 0 where that may be chance.
        broken: sentences on columns that are gone or hold something else.
        unseen: by column, the share of the rows without alarm that have a category which training has not seen.
        unseen_anywhere: by column, the share of all rows that have one.
        false_alarms_exceed: whether confirmed normal rows alarm more often than promised; None without labels.
    """

    rows: int
    has_rung: bool = False
    bulk: float = 0.0
    bulk_moved: bool = False
    middle: float = 0.0
    alarm_rate: float = 0.0
    more_alarms: bool = False
    moved: tuple[Moved, ...] = ()
    features: int = 0
    latent: float = 0.0
    broken: tuple[str, ...] = ()
    unseen: dict[str, float] = field(default_factory=dict)
    unseen_anywhere: dict[str, float] = field(default_factory=dict)
    false_alarms_exceed: bool | None = None


@dataclass(frozen=True)
class Decision:
    """What to do.

    Attributes:
        state: what happened.
        action: what to do about it.
        reasons: sentences, the weightiest first.
    """

    state: State
    action: Action
    reasons: tuple[str, ...]

    @property
    def exit_code(self) -> int:
        """For a scheduler."""
        return EXIT_CODES[self.action]


def level_of(rows: int) -> float:
    """The level of all tests of so many rows together, such that a false alarm comes in so many stationary rows."""
    return min(LOOK_LEVEL, rows / ROWS_A_FALSE_ALARM)


def decide(found: Evidence) -> Decision:
    """The rule of this module."""
    strange = [f"{name}: {share:.1%} of the rows without alarm have a category unseen in training" for name, share in
               sorted(found.unseen.items(), key=lambda one: -one[1]) if share >= UNSEEN]  # fmt: skip
    if found.broken or strange:
        return Decision("the schema changed", "retrain", (*found.broken, *strange))
    if found.bulk_moved and found.bulk >= BULK:
        return _world_moved(found)
    if found.false_alarms_exceed:
        return Decision("the world moved", "recalibrate", ("rows confirmed as normal alarm more often than promised",))
    if found.more_alarms:
        return Decision("more anomalies", "nothing", _more_anomalies(found))
    if found.has_rung:
        return Decision("unclear", "nothing", ("the stream rang, and the rows since then do not tell what changed",))
    return Decision("stationary", "nothing", _at_rest(found))


def _world_moved(found: Evidence) -> Decision:
    towards = "stranger" if found.middle > 0 else "less strange"
    scores = f"the bulk of the scores moved (distance {found.bulk:.2f}): the middle row is {abs(found.middle):.2f} "
    reasons = [f"{scores}standard deviations {towards} than before"]
    if found.moved:
        reasons.append(f"{len(found.moved)} of {found.features} features moved: {_named(found.moved)}")
    if found.latent >= LATENT:
        reasons.append(f"the code's centre moved by {found.latent:.2f} standard deviations")
    if found.alarm_rate >= MOST_ALARM:
        reasons.append(f"{found.alarm_rate:.0%} of the rows alarm")
    most = len(found.moved) > 1 and len(found.moved) >= MOST_FEATURES * found.features
    if most or found.latent >= FAR_LATENT or found.alarm_rate >= MOST_ALARM:
        return Decision("the world moved", "retrain", tuple(reasons))
    needs_weights = found.moved or found.latent >= LATENT or abs(found.middle) >= FAR_SCORES
    return Decision("the world moved", "adapt" if needs_weights else "recalibrate", tuple(reasons))


def _more_anomalies(found: Evidence) -> tuple[str, ...]:
    told = (
        f"{found.alarm_rate:.2%} of the rows alarm, more than promised, and the bulk of the scores stands: look at them"
    )
    strange = [
        f"{name}: {share:.1%} of the rows have a category that training has not seen: if they are normal, retrain"
        for name, share in found.unseen_anywhere.items()
        if share >= UNSEEN
    ]
    return (told, *strange, *_at_rest(found))


def _at_rest(found: Evidence) -> tuple[str, ...]:
    """Features that moved without moving the scores: worth a look, and no reason to touch the model."""
    if not found.moved:
        return ()
    return (f"{len(found.moved)} of {found.features} features moved and the scores did not: {_named(found.moved)}",)


def _named(moved: tuple[Moved, ...], most: int = 5) -> str:
    named = ", ".join(f"{one.name} ({one.what} {one.distance:.2f})" for one in moved[:most])
    return named if len(moved) <= most else f"{named} and {len(moved) - most} more"
