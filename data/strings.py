"""Strings as token ids: what text files and molecules share."""

from abc import abstractmethod
from collections.abc import Sequence
from functools import cached_property
from hashlib import sha256
from typing import Any

from data.base import LitData, Role, Rows, require_at_least
from lit_ae.errors import UserError
from lit_ae.preprocessing import Rescale
from lit_ae.spec import DataSpec
from lit_ae.tokenizers import MARKS, PAD, UNKNOWN, Tokenizer


class Strings(LitData):
    """Base of data sets of strings. A subclass reads the strings of each role and says how they are cut into tokens.

    The vocabulary and the length of a row come from the training strings alone. Strings that are longer than a row are
    left out, of every role, and counted in :attr:`left_out`; tokens of other roles that the vocabulary lacks become
    ``<unknown>``, and the strings that hold any are counted in :attr:`noticed`.

    Args:
        length: tokens that a string may have; by default as many as the longest training string.
        calibrate_share: share of the distinct strings that calibrates a detector; all strings are then taken for
            normal. 0, the default, is for data that know of no normal strings: no detector is made.
        vocabulary_size: tokens, the most frequent of the training strings, that are told apart; all by default.
        **loading: what every data set takes, see :class:`data.base.LitData`.

    Raises:
        UserError: if a value makes no sense.
    """

    def __init__(
        self,
        length: int | None = None,
        vocabulary_size: int | None = None,
        calibrate_share: float = 0.0,
        **loading: Any,
    ):
        super().__init__(**loading)
        if calibrate_share:
            require_share("calibrate_share", calibrate_share)
        if length is not None:
            require_at_least("length", length, 1)
        if vocabulary_size is not None:
            require_at_least("vocabulary_size", vocabulary_size, 1)
        self.length, self.vocabulary_size, self.calibrate_share = length, vocabulary_size, calibrate_share

    @property
    @abstractmethod
    def label(self) -> str:
        """What the data is called."""

    @property
    @abstractmethod
    def tokenizer_class(self) -> type[Tokenizer]:
        """How strings are cut into tokens."""

    @abstractmethod
    def read(self) -> dict[Role, list[str]]:
        """The strings of each role, normalised.

        Raises:
            UserError: if a file is missing or damaged, or holds too little.
        """

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """Fitted on the training strings."""
        length = None if self.length is None else self.length + 1
        return self.tokenizer_class.fit(self._read["fit"], length, self.vocabulary_size)

    def strings(self, role: Role) -> list[str]:
        """The normalised string of each row of a role."""
        return self.texts[role][: len(self.rows[role].raw)]

    def example(self, rows: int = 3) -> list[str]:
        """The first test strings, tokens that the vocabulary lacks among them."""
        return self.strings("test")[:rows]

    @cached_property
    def texts(self) -> dict[Role, list[str]]:
        """The strings of each role that are not too long, in the order of the rows."""
        tokenizer = self.tokenizer
        kept = {role: [text for text in texts if tokenizer.holds(text)] for role, texts in self._read.items()}
        for role, texts in self._read.items():
            if too_long := len(texts) - len(kept[role]):
                self.left_out[f"{role} strings of more than {tokenizer.length - 1} tokens"] = too_long
            if len(kept[role]) < 2:
                raise UserError(
                    f"{self.label} has {len(kept[role])} {role} string(s) of {tokenizer.length - 1} tokens or less, "
                    "and needs 2: give it more, or raise data.length."
                )
        return kept

    @cached_property
    def _read(self) -> dict[Role, list[str]]:
        self.prepare_data()
        return self.read()

    @cached_property
    def spec(self) -> DataSpec:
        """Ids ``(T,)`` of tokens, ended and padded. Reads the files, which alone know the vocabulary."""
        tokenizer = self.tokenizer
        return DataSpec(
            name=self.label,
            kind="sequence",
            shape=(tokenizer.length,),
            preprocessing=Rescale(0.0, 1.0),
            value_range=(0.0, len(tokenizer.vocabulary) - 1.0),
            vocabulary=tokenizer.vocabulary,
            pad=float(MARKS.index(PAD)),
            tokenizer=tokenizer,
        )

    def load(self) -> dict[Role, Rows]:
        """The ids of each role's strings, ``(N, T)`` of type int64."""
        return {role: self._rows(role, texts) for role, texts in self.texts.items()}

    def _apart(self, loaded: dict[Role, Rows]) -> dict[Role, Rows]:
        """As they are: no string stands in two roles, though two may be alike in the vocabulary's tokens."""
        return loaded

    def _rows(self, role: Role, texts: Sequence[str]) -> Rows:
        numbers = [self.tokenizer.numbers(text) for text in texts]
        if unknown := sum(MARKS.index(UNKNOWN) in ids for ids in numbers):
            self.noticed[f"{role} strings with unknown tokens"] = unknown
        return Rows(self.tokenizer.padded(numbers))


def apart_by_hash(
    texts: Sequence[str], tune_share: float, test_share: float, calibrate_share: float = 0.0
) -> dict[Role, list[str]]:
    """Roles by the strings' SHA-256: equal strings share a role, and their order and number change nothing else.

    Of the distinct strings ``test_share`` are for the test and ``tune_share`` for tuning, two or more each, and
    ``calibrate_share`` for calibration; without that there is no such role.

    Raises:
        UserError: if the shares leave no training strings.
    """
    distinct = sorted(set(texts), key=lambda text: sha256(text.encode()).digest())
    test, tune = (max(2, round(share * len(distinct))) for share in (test_share, tune_share))
    held_out = test + tune + (max(2, round(calibrate_share * len(distinct))) if calibrate_share else 0)
    if len(distinct) < held_out + 2:
        raise UserError(
            f"{len(distinct)} distinct strings are too few to train, tune and test on: give 6 or more, 8 to calibrate "
            "with some too, and data.tune_share and data.test_share that leave 2 or more to train on."
        )
    members: dict[Role, set[str]] = {
        "fit": set(distinct[held_out:]),
        "tune": set(distinct[test : test + tune]),
        "calibrate": set(distinct[test + tune : held_out]),
        "test": set(distinct[:test]),
    }
    if not calibrate_share:
        del members["calibrate"]
    return {role: [text for text in texts if text in of_role] for role, of_role in members.items()}


def require_share(option: str, value: float) -> None:
    """Refuses a share ``data.<option>`` outside (0, 0.5].

    Raises:
        UserError: if it is.
    """
    if not 0 < value <= 0.5:
        raise UserError(f"data.{option} is {value}, but it must be above 0 and at most 0.5.")
