"""The user's own text file, one sequence a line."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args

from data.base import Role
from data.lines import read_lines
from data.strings import Strings, apart_by_hash, require_share
from lit_ae.errors import UserError
from lit_ae.tokenizers import Characters, Tokenizer, Words

Tokens = Literal["characters", "words"]
_TOKENIZERS: dict[str, type[Tokenizer]] = {"characters": Characters, "words": Words}


class Sequences(Strings):
    """The lines of a UTF-8 text file, packed by gzip or not. Empty lines are left out and counted.

    Which lines are for training, tuning and testing is told by their hash: equal lines share a role.

    Args:
        path: the file; a path that is not absolute and leads nowhere is tried under ``root``.
        tokens: what a token is: each character, or each word and each other character.
        tune_share: share of the distinct lines that is for tuning.
        test_share: share of the distinct lines that is for the test.
        **strings: what all strings take, see :class:`data.strings.Strings`.

    Raises:
        UserError: if a value makes no sense.
    """

    def __init__(
        self,
        path: str,
        tokens: Tokens = "characters",
        tune_share: float = 0.1,
        test_share: float = 0.1,
        **strings: Any,
    ):
        super().__init__(**strings)
        if tokens not in get_args(Tokens):
            raise UserError(f"data.tokens is {tokens!r}, but it must be one of {', '.join(get_args(Tokens))}.")
        require_share("tune_share", tune_share)
        require_share("test_share", test_share)
        self.path, self.tokens = Path(path).expanduser(), tokens
        self.tune_share, self.test_share = tune_share, test_share

    @property
    def label(self) -> str:
        return self.path.name.partition(".")[0]

    @property
    def tokenizer_class(self) -> type[Tokenizer]:
        return _TOKENIZERS[self.tokens]

    def read(self) -> dict[Role, list[str]]:
        """Reads the file's lines."""
        lines = list(self._lines())
        texts = [line for line in lines if line]
        if not texts:
            raise UserError(f"{self._file} holds no text: give --data.path a file with one sequence a line.")
        if empty := len(lines) - len(texts):
            self.left_out["empty lines"] = empty
        return apart_by_hash(texts, self.tune_share, self.test_share, self.calibrate_share)

    @property
    def _file(self) -> Path:
        return self.path if self.path.exists() else self.root / self.path

    def _lines(self) -> Iterator[str]:
        return read_lines(self._file)
