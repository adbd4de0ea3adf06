"""Rows in, evidence out: read it from :class:`Watch` downwards."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lit_ae.monitoring.decision import FEATURE, LATENT, LEVEL, Evidence, Moved, level_of
from lit_ae.monitoring.features import Difference, Feature
from lit_ae.monitoring.profile import Profile
from lit_ae.monitoring.scores import Alarms, alarms_of, bulk_difference, middle
from lit_ae.monitoring.stream import Change, Stream
from lit_ae.monitoring.tally import Counts, Piece, Tally, Timeline

LEAST = 100  # effective rows that say something
CHANGES = 50  # of a stream that are kept at most
UNSEEN_LEVEL = 1e-6  # of the test that unseen categories are more than chance, column by column


class Look(NamedTuple):
    """One feature, looked at.

    Attributes:
        feature: as normal rows have it.
        counts: of the rows, by cell.
        values: how far the values are from normal.
        missing: how far the share of missing ones is.
        unseen: the share of all rows with a category that training has not seen; 0 where it may be chance.
        unseen_quiet: that share of the rows that do not alarm.
    """

    feature: Feature
    counts: NDArray[np.float64]
    values: Difference
    missing: Difference
    unseen: float
    unseen_quiet: float


class Findings(NamedTuple):
    """What was seen.

    Attributes:
        evidence: for the decision.
        since: the number of the row from which on it holds: 0, or the one after the last change.
        changes: of the stream, the first ones and the last.
        looks: at each feature.
        bulk: of the ranks.
        alarms: of the rows that the evidence is of.
        all_alarms: of all rows.
        latent: of the codes; None where they are not watched.
        timeline: of all rows.
        tally: of the rows that the evidence is of.
    """

    evidence: Evidence
    since: int
    changes: list[Change]
    looks: list[Look]
    bulk: Difference
    alarms: Alarms
    all_alarms: Alarms
    latent: Difference | None
    timeline: Timeline
    tally: Tally


class Watch:
    """Watches rows in time order, in memory that does not grow.

    Args:
        profile: of the model that has scored them.
        has_features: whether rows come with their features.
    """

    def __init__(self, profile: Profile, has_features: bool = True):
        self.profile, self.features = profile, profile.features if has_features else ()
        self.stream = Stream(profile.stream, profile.promise.block_rows, profile.block_spread)
        self.whole, self.recent, self.timeline = self._tally(), self._tally(), Timeline()
        self.changes: list[Change] = []

    @property
    def rows_needed(self) -> int:
        """Scored rows that say something."""
        return LEAST * self.profile.promise.block_rows

    def add(
        self,
        p_values: NDArray[np.float64],
        alarm: NDArray[np.bool_],
        rows: NDArray[np.float64] | None = None,
        codes: NDArray[np.float64] | None = None,
    ) -> None:
        """Takes the next rows in.

        Args:
            p_values: of each ``(N,)``; NaN where it is not scored.
            alarm: which alarm ``(N,)``, bool.
            rows: their features in the user's units ``(N, features)``.
            codes: ``(N, L)``, NaN for rows that have none.
        """
        cells = None
        if rows is not None and self.features:
            cells = np.column_stack([one.cells(rows[:, place]) for place, one in enumerate(self.features)])
        whitened = None if codes is None or self.profile.latent is None else self.profile.latent.whiten(codes)
        piece = Piece(self.profile.ranks.uniform(p_values), alarm, cells, whitened)
        before = self.whole.rows
        changes = self.stream.update(piece.uniform)
        self._keep(changes)
        self.whole.add(piece)
        self.timeline.add(piece)
        if changes:
            self.recent, piece = self._tally(), piece.take(slice(changes[-1].row + 1 - before, None))
        self.recent.add(piece)

    def findings(self, broken: tuple[str, ...] = (), false_alarms_exceed: bool | None = None) -> Findings:
        """What the rows since the last change say, or all rows where these are too few.

        Args:
            broken: sentences on columns that are gone or hold something else.
            false_alarms_exceed: whether confirmed normal rows alarm more often than promised; None without labels.
        """
        lately = bool(self.changes) and self.recent.scored >= self.rows_needed
        tally = self.recent if lately else self.whole
        since = self.changes[-1].row + 1 if lately else 0
        bulk, alarms = bulk_difference(tally, self.profile), alarms_of(tally, self.profile)
        level = LEVEL if self.changes else level_of(tally.scored)
        moved_bulk = bulk.p_value <= level
        counts = tally.all if moved_bulk else tally.quiet
        looks, latent = self._looks(counts, tally), self._latent(counts)
        evidence = self._evidence(tally, bulk, alarms, looks, latent, level)
        told = {"broken": broken, "false_alarms_exceed": false_alarms_exceed}
        evidence = Evidence(**{**vars(evidence), **told})
        return Findings(
            evidence,
            since,
            self.changes,
            looks,
            bulk,
            alarms,
            alarms_of(self.whole, self.profile),
            latent,
            self.timeline,
            tally,
        )

    def _keep(self, changes: list[Change]) -> None:
        """The first changes and the last one."""
        known = self.changes + changes
        self.changes = known if len(known) <= CHANGES else [*known[: CHANGES - 1], known[-1]]

    def _tally(self) -> Tally:
        return Tally(self.features, 0 if self.profile.latent is None else len(self.profile.latent.mean))

    def _looks(self, counts: Counts, tally: Tally) -> list[Look]:
        each = [
            (one, counts.of(place), tally.all.of(place), tally.quiet.of(place))
            for place, one in enumerate(self.features)
        ]
        return [
            Look(one, own, one.difference(own), one.missing_difference(own), unseen(one, every), unseen(one, quiet))
            for one, own, every, quiet in each
            if own.sum()
        ]

    def _latent(self, counts: Counts) -> Difference | None:
        if self.profile.latent is None or not counts.coded:
            return None
        worth = counts.coded / self.profile.promise.block_rows
        return self.profile.latent.difference(counts.codes, counts.coded, worth)

    def _evidence(
        self, tally: Tally, bulk: Difference, alarms: Alarms, looks: list[Look], latent: Difference | None, level: float
    ) -> Evidence:
        tests = [bulk, latent or Difference(0.0, 1.0)]
        tests += [test for look in looks for test in (look.values, look.missing)]
        sure = significant([test.p_value for test in tests], level)
        of_looks = list(zip(looks, sure[2::2], sure[3::2], strict=True))
        unrest = 0.0 if self.profile.latent is None else self.profile.latent.unrest
        distance = latent.distance - unrest if latent and sure[1] else 0.0
        return Evidence(
            rows=tally.scored,
            has_rung=bool(self.changes),
            bulk=bulk.distance,
            bulk_moved=bool(sure[0]),
            middle=middle(tally) if tally.scored else 0.0,
            alarm_rate=alarms.rate,
            more_alarms=alarms.p_more <= level,
            moved=tuple(sorted(_moved(of_looks), key=lambda one: -one.distance)),
            features=len(self.features),
            latent=distance if distance >= LATENT else 0.0,
            unseen={look.feature.name: look.unseen_quiet for look in looks if look.unseen_quiet},
            unseen_anywhere={look.feature.name: look.unseen for look in looks if look.unseen},
        )


def significant(p_values: list[float], level: float) -> NDArray[np.bool_]:
    """Which tests reject when a share ``level`` of the rejections may be false (Benjamini & Hochberg 1995).

    Where nothing has changed, any rejection at all has at most that probability.
    """
    from scipy.stats import false_discovery_control

    found: NDArray[np.bool_] = false_discovery_control(np.clip(p_values, 0, 1), method="bh") <= level
    return found


def unseen(feature: Feature, counts: NDArray[np.float64]) -> float:
    """The share of rows with a category that training has not seen; 0 where it may be chance."""
    share = feature.unseen_share(counts)
    return share if share and feature.difference(counts).p_value <= UNSEEN_LEVEL else 0.0


def _moved(looks: list[tuple[Look, bool, bool]]) -> list[Moved]:
    """The features that moved by more than chance and by more than they do by themselves."""
    found = []
    for look, values, missing in looks:
        feature = look.feature
        if values and look.values.distance >= FEATURE + feature.unrest:
            kind = "Kolmogorov-Smirnov" if feature.kind == "numeric" else "total variation"
            found.append(Moved(feature.name, look.values.distance, kind))
        elif missing and look.missing.distance >= FEATURE:
            found.append(Moved(feature.name, look.missing.distance, "share missing"))
    return found
