"""What all tables share: a schema and a scaling learned from the training rows, in memory or streamed from disk."""

import hashlib
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from data.base import LitData, Role, Rows, require_at_least
from data.intake import Intake, Meaning, Numbering, Pieces, Sample, to_rows
from data.learned_schema import Learned, SchemaLearner
from data.loading import Split
from data.splits import ROLES, Shares
from data.staging import Staged
from data.streaming import StreamedRows
from lit_ae.errors import UserError
from lit_ae.schema import MissingPolicy, Schema
from lit_ae.spec import DataSpec


class TableData(LitData):
    """Base of data sets whose rows are those of a table. A subclass says where the rows come from and what they mean.

    Args:
        missing: what is done with missing values: ``mean`` puts the training mean in their place (among categories
            they are one of their own), ``indicator`` does so too and adds a feature that says where, ``refuse`` takes
            none.
        log: put numbers on the scale sign(v)·log(1 + |v|) before they are standardised.
        max_categories: categories of one column that are told apart, the most frequent ones; the others count as
            unseen.
        tune_share: share of the rows for tuning.
        calibrate_share: share of the rows for calibration.
        test_share: share of the rows for testing; unused where there is a test table.
        stream: leave the training rows on disk: the table is staged once, in a form that can be read in any order, and
            may be larger than the memory.
        shuffle_rows: streamed rows that are in memory and mixed with each other at a time.
        held_out_rows: of a streamed table, the most rows of tune, calibrate and test, and of the sample of the training
            rows for what needs some in memory; chosen evenly, the others are left out and counted.
        staging: folder of staged tables, which may be emptied at any time.
        **loading: what every data set takes, see :class:`data.base.LitData`.

    Raises:
        UserError: if a value makes no sense.
    """

    synthetic = False

    def __init__(
        self,
        missing: MissingPolicy = "mean",
        log: bool = False,
        max_categories: int = 100,
        tune_share: float = 0.1,
        calibrate_share: float = 0.1,
        test_share: float = 0.2,
        stream: bool = False,
        shuffle_rows: int = 131_072,
        held_out_rows: int = 100_000,
        staging: str = "~/.cache/lit_ae/staged",
        **loading: Any,
    ):
        super().__init__(**loading)
        require_at_least("max_categories", max_categories, 1)
        require_at_least("shuffle_rows", shuffle_rows, 1)
        require_at_least("held_out_rows", held_out_rows, 2)
        if stream and self.fit_rows is not None:
            raise UserError("data.fit_rows is for rows in memory: set data.stream to false for a quick look.")
        self.stream, self.shuffle_rows, self.held_out_rows = stream, shuffle_rows, held_out_rows
        self.staging = Path(staging).expanduser()
        Schema((), missing)
        self.missing, self.log, self.max_categories = missing, log, max_categories
        self.tune_share, self.calibrate_share, self.test_share = tune_share, calibrate_share, test_share

    @property
    @abstractmethod
    def meaning(self) -> Meaning:
        """What the columns mean."""

    @abstractmethod
    def pieces(self) -> Pieces:
        """Gives the table."""

    def test_pieces(self) -> Pieces | None:
        """Gives a separate test table, where there is one."""
        return None

    @property
    def categorical(self) -> Sequence[str]:
        """Columns that are categories whatever they hold."""
        return ()

    @property
    def types(self) -> dict[str, str]:
        """The columns' types in the file, as far as they are known."""
        return {}

    @property
    def skipped(self) -> dict[str, int]:
        """Rows that could not be read and were left out, by reason."""
        return {}

    @cached_property
    def intake(self) -> Intake:
        """Gives the rows their roles."""
        test_pieces = self.test_pieces()
        shares = Shares(self.tune_share, self.calibrate_share, 0.0 if test_pieces else self.test_share)
        return Intake(self.meaning, shares, self.pieces(), test_pieces)

    @cached_property
    def staged(self) -> Staged | None:
        """The rows on disk, where they are streamed."""
        if not self.stream:
            return None
        staged = Staged.of(self, self.staging, self.held_out_rows, self.fingerprint())
        self.families, self.left_out = tuple(staged.meta["families"]), dict(staged.meta["left_out"])
        for role in staged.rows:
            if role != "fit" and (rest := staged.meta["seen"][role] - len(staged.rows[role].raw)):
                self.left_out[f"{role} rows beyond data.held_out_rows"] = rest
        return staged

    def fingerprint(self) -> dict[str, Any]:
        """What a staged table depends on, as plain values."""
        options = ("missing", "log", "max_categories", "tune_share", "calibrate_share", "test_share", "held_out_rows")
        return {"class": type(self).__name__, **{name: getattr(self, name) for name in options}}

    @property
    def split_sizes(self) -> dict[str, int]:
        sizes = super().split_sizes
        return {**sizes, "fit": self.staged.meta["seen"]["fit"]} if self.staged else sizes

    @cached_property
    def digest(self) -> str:
        if self.staged is None:
            return super().digest
        return hashlib.sha256(f"{super().digest} {self.staged.meta['digest']}".encode()).hexdigest()

    def training_split(self) -> Split:
        if self.staged is None:
            return super().training_split()
        return StreamedRows(self.staged.fit, self.learned.preprocessing, self.shuffle_rows)

    @cached_property
    def learned(self) -> Learned:
        """Schema and scaling, from the training rows alone."""
        return self.staged.learned if self.staged else self.learn()

    def learn(self) -> Learned:
        """Goes through the training rows."""
        self.prepare_data()
        learner = self.learner()
        rows = 0
        for piece in self.intake.assigned():
            fit = piece.of("fit").frame
            learner.update(fit)
            rows += len(fit)
        if not rows:
            told = ", ".join(f"{count:,} {reason}" for reason, count in self.intake.left_out.items()) or "none"
            raise UserError(
                f"The table has no normal row to fit with (left out: {told}): give it more, or lower the other shares."
            )
        return Learned(learner.schema, learner.preprocessing)

    def learner(self, entity: str | None = None) -> SchemaLearner:
        """A fresh one, with this table's options, for a model that asks for the entity column or for none."""
        options = (self.categorical, self.missing, self.log, self.max_categories, entity)
        return SchemaLearner(self.meaning.features, *options, types=self.types)

    @property
    def spec(self) -> DataSpec:
        """Rows of features ``(D,)``: standardised numbers, one-hot categories, indicators. Reads the training rows."""
        schema, preprocessing = self.learned
        shape = (preprocessing.features,)
        return DataSpec(type(self).__name__, "table", shape, preprocessing, synthetic=self.synthetic, schema=schema)

    def load(self) -> dict[Role, Rows]:
        """Reads the table: raw ``(N, columns)``, float64; categories are codes, and NaN is a missing number.

        Raises:
            UserError: if a file is missing or damaged, a row can't be read, or a role has no row.
        """
        if self.staged is None:
            loaded = self.collected({role: Sample() for role in ROLES}, self.learned)
        else:
            loaded = self.staged.rows
        self.notice(loaded)
        return loaded

    def collected(self, samples: Mapping[Role, Sample], learned: Learned) -> dict[Role, Rows]:
        """Goes through all rows; each role's go to its sample."""
        families, entities = Numbering(self.meaning.kinds), Numbering()
        for piece in self.intake.assigned():
            for role, sample in samples.items():
                part = piece.of(role)
                if len(part.frame):
                    sample.add(to_rows(part, learned.schema, self.meaning, families, entities), part.keys)
        self.left_out |= {**self.skipped, **self.intake.left_out}
        self.families = tuple(families.numbers) if self.meaning.kind else ()
        return {role: _required(role, sample) for role, sample in samples.items() if self.is_wanted(role)}

    def is_wanted(self, role: Role) -> bool:
        """Whether a role has rows; calibrate has none where its share is 0."""
        return role != "calibrate" or self.calibrate_share > 0

    def notice(self, loaded: Mapping[Role, Rows]) -> None:
        """Counts what is peculiar: it is in the run."""
        columns = self.learned.schema.columns
        raw = {role: rows.raw for role, rows in loaded.items()}
        unseen = torch.tensor([float(c.bins - 1) if c.bins else torch.inf for c in columns])
        self.noticed["constant columns"] = sum(c.kind == "numeric" and c.low == c.high for c in columns)
        for role, values in raw.items():
            self.noticed[f"{role} rows with a missing number"] = int(values.isnan().any(-1).sum())
            self.noticed[f"{role} rows with an unseen category"] = int((values == unseen).any(-1).sum())
        self.noticed = {what: count for what, count in self.noticed.items() if count}


def _required(role: Role, sample: Sample) -> Rows:
    rows = sample.rows
    least = 2 if role == "fit" else 1
    if rows is None or len(rows.raw) < least:
        share = "lower the other shares" if role == "fit" else f"raise data.{role}_share"
        raise UserError(f"The table has too few normal rows to {role} with: give it more rows, or {share}.")
    return rows
