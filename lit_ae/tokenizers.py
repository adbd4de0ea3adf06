"""Strings as rows of token ids."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from itertools import takewhile
from typing import Any, ClassVar, TypeVar

import numpy as np
import torch
from torch import Tensor

from lit_ae.codecs import Codec
from lit_ae.describe import Described
from lit_ae.errors import UserError

PAD, END, UNKNOWN = "<pad>", "<end>", "<unknown>"
MARKS = (PAD, END, UNKNOWN)
"""The first tokens of every vocabulary: what fills a row up, what ends a string, and what the vocabulary lacks."""

Self = TypeVar("Self", bound="Tokenizer")


class Tokenizer(Described, Codec):
    """Cuts strings into tokens. The tokens of a string, joined, are that string, character by character.

    A row of ids is the string's tokens, the end mark, and padding. Tokens that the vocabulary lacks become
    ``<unknown>``. It travels inside the model, as JSON: see :mod:`lit_ae.describe`.

    Args:
        tokens: the vocabulary without its marks, in the order of the ids.
        length: places in a row, that of the end mark included.
    """

    pattern: ClassVar[re.Pattern[str]]

    def __init__(self, tokens: Sequence[str], length: int):
        self.length = length
        self.vocabulary = (*MARKS, *tokens)
        self._ids = {token: number for number, token in enumerate(self.vocabulary)}

    @classmethod
    def fit(cls: type[Self], texts: Iterable[str], length: int | None = None, most: int | None = None) -> Self:
        """The tokenizer of the training strings.

        Args:
            texts: normalised strings (see :meth:`normalise`).
            length: places in a row; by default just enough for the longest of them.
            most: how many tokens, the most frequent, the vocabulary may hold; all by default.
        """
        counts: Counter[str] = Counter()
        longest = 0
        for text in texts:
            tokens = cls.tokenise(text)
            counts.update(tokens)
            longest = max(longest, len(tokens))
        frequent = sorted(counts, key=lambda token: (-counts[token], token))[:most]
        return cls(frequent, length or longest + 1)

    @classmethod
    def tokenise(cls, text: str) -> list[str]:
        """The tokens of a normalised string."""
        return cls.pattern.findall(text)

    @classmethod
    def detokenise(cls, tokens: Iterable[str]) -> str:
        """The string that consists of these tokens."""
        return "".join(tokens)

    @classmethod
    def normalise(cls, text: str) -> str:
        """The one form that a string is learned in.

        Raises:
            UserError: it is no such string; the sentence goes on from "row 3 ".
        """
        return text

    def encode(self, rows: Sequence[Any], first_row: int = 0) -> Tensor:
        """Strings to ids ``(N, length)``, int64; ``first_row`` is the number of the first of them, for the error.

        Raises:
            UserError: a row that is no string, is not valid, or has more tokens than a row can hold.
        """
        return self.padded([self._numbers(row, place) for place, row in enumerate(rows, first_row)])

    def padded(self, numbers: Sequence[Sequence[int]]) -> Tensor:
        """Rows of ids, none of them longer than ``length``, filled up: ``(N, length)``, int64."""
        ids = np.full((len(numbers), self.length), MARKS.index(PAD))
        for place, row in enumerate(numbers):
            ids[place, : len(row)] = row
        return torch.from_numpy(ids)

    def _numbers(self, row: Any, place: int) -> list[int]:
        if not isinstance(row, str):
            raise UserError(f"Row {place} is of type {type(row).__name__}, but every row must be a string.")
        try:
            numbers = self.numbers(self.normalise(row))
        except UserError as error:
            raise UserError(f"Row {place} {error}") from error
        if len(numbers) > self.length:
            raise UserError(
                f"Row {place} has {len(numbers) - 1} tokens, and the model was made for {self.length - 1} at most: "
                "leave it out or shorten it."
            )
        return numbers

    def numbers(self, text: str) -> list[int]:
        """The ids of a normalised string, the end mark's included, however many."""
        unknown = MARKS.index(UNKNOWN)
        return [*(self._ids.get(token, unknown) for token in self.tokenise(text)), MARKS.index(END)]

    def holds(self, text: str) -> bool:
        """Whether a normalised string is short enough for a row."""
        return len(self.numbers(text)) <= self.length

    def decode(self, raw: Tensor) -> list[str]:
        """Ids ``(N, length)`` to strings, each up to its end mark."""
        return [self.detokenise(self.named(row)) for row in raw.long().tolist()]

    def named(self, ids: Iterable[int]) -> list[str]:
        """A row's tokens up to the end mark, without padding."""
        before_end = takewhile(lambda number: number != MARKS.index(END), ids)
        return [self.vocabulary[number] for number in before_end if number != MARKS.index(PAD)]


class Characters(Tokenizer):
    """A token a character (Unicode code point)."""

    pattern = re.compile(r".", re.DOTALL)


class Words(Tokenizer):
    """Words, and each other character, blanks included, by itself."""

    pattern = re.compile(r"\w+|\W", re.DOTALL)


class Smiles(Tokenizer):
    """Molecules as SMILES in RDKit's canonical form: an atom in brackets, Br, Cl and a ring number such as %12 are one
    token each (Schwaller et al. 2018, section 3.2), everything else is one a character.
    """

    pattern = re.compile(r"\[[^\]]*\]|Br|Cl|%\d\d|%\(\d+\)|.", re.DOTALL)

    @property
    def requirements(self) -> tuple[str, ...]:
        return ("rdkit",)

    @classmethod
    def normalise(cls, text: str) -> str:
        from lit_ae.molecules import canonical

        found = canonical(text)
        if found is None:
            raise UserError(f"is no valid SMILES ({shortened(text)}): correct it or leave it out.")
        return found


class Selfies(Smiles):
    """Molecules as SELFIES (Krenn et al. 2020), of which every sequence of tokens is a molecule, where its atoms are
    those of organic chemistry. The user's rows stay SMILES.
    """

    @property
    def requirements(self) -> tuple[str, ...]:
        return ("rdkit", "selfies")

    @classmethod
    def normalise(cls, text: str) -> str:
        smiles = super().normalise(text)
        _translated(smiles, "encoder")
        return smiles

    @staticmethod
    def expresses(smiles: str) -> bool:
        """Whether SELFIES can express a molecule."""
        try:
            return bool(_translated(smiles, "encoder"))
        except UserError:
            return False

    @classmethod
    def tokenise(cls, text: str) -> list[str]:
        return super().tokenise(_translated(text, "encoder"))

    @classmethod
    def detokenise(cls, tokens: Iterable[str]) -> str:
        from lit_ae.molecules import canonical

        smiles = _translated("".join(token for token in tokens if token not in MARKS), "decoder")
        return canonical(smiles) or smiles


@lru_cache(maxsize=1 << 19)
def _translated(text: str, way: str) -> str:
    """SMILES to SELFIES (``encoder``), or back (``decoder``)."""
    import selfies

    translate: Callable[[str], str] = getattr(selfies, way)
    try:
        return translate(text)
    except (selfies.EncoderError, selfies.DecoderError) as error:
        raise UserError(f"has no SELFIES ({shortened(text)}): leave it out, or set data.notation to smiles.") from error


def shortened(text: str, most: int = 40) -> str:
    """A string as a sentence can hold it."""
    return repr(text if len(text) <= most else f"{text[:most]}\N{HORIZONTAL ELLIPSIS}")
