"""What a model must know of its data."""

from typing import Any, Literal

from lit_ae.codecs import Codec
from lit_ae.describe import build, describe
from lit_ae.errors import UserError
from lit_ae.preprocessing import Preprocessing
from lit_ae.schema import Schema
from lit_ae.tokenizers import Tokenizer

Kind = Literal["image", "table", "series", "sequence"]
Binarize = Literal["none", "dynamic", "threshold"]


class DataSpec:
    """All that the data hands to a model, and all of it that a served model keeps. JSON in, JSON out.

    Args:
        name: the data set's name, for figures and pictures.
        kind: what a sample is; networks and corruptions refuse kinds that they are not made for.
        shape: one sample in model space, without the batch dimension: ``(C, H, W)`` for an image, ``(D,)`` for a row,
            ``(T, D)`` for a series, ``(T,)`` for a sequence of token ids.
        value_range: lowest and highest value in model space, or None where there is no bound.
        preprocessing: the user's units to model space and back.
        binarize: how grey levels become 0 and 1: not at all, drawn anew every epoch, or by a threshold.
        classes: the labels' names, in order; empty where there are none.
        synthetic: whether the data is made up.
        vocabulary: the tokens of a sequence, in the order of their ids.
        pad: what fills places after the end: the id of a token, or for a series the value of every feature of a step;
            None where all samples are of one length.
        schema: the columns of a table; None where the user's units are tensors. A served model with a schema takes
            frames.
        tokenizer: makes token ids of strings; None where the user's units are others. A served model with a tokenizer
            takes strings.
    """

    def __init__(
        self,
        name: str,
        kind: Kind,
        shape: tuple[int, ...],
        preprocessing: Preprocessing,
        value_range: tuple[float, float] | None = None,
        binarize: Binarize = "none",
        classes: tuple[str, ...] = (),
        synthetic: bool = False,
        vocabulary: tuple[str, ...] = (),
        pad: float | None = None,
        schema: Schema | None = None,
        tokenizer: Tokenizer | None = None,
    ):
        self.name, self.kind, self.shape = name, kind, tuple(shape)
        self.preprocessing = preprocessing
        self.value_range: tuple[float, float] | None = None
        if value_range is not None:
            self.value_range = (value_range[0], value_range[1])
        self.binarize, self.classes, self.synthetic = binarize, tuple(classes), synthetic
        self.vocabulary, self.pad = tuple(vocabulary), pad
        self.schema, self.tokenizer = schema, tokenizer

    @property
    def features(self) -> int:
        """Numbers in one sample."""
        product = 1
        for size in self.shape:
            product *= size
        return product

    @property
    def codec(self) -> Codec | None:
        """The way from the user's own rows to raw tensors and back; None where those rows are tensors."""
        return self.schema or self.tokenizer

    def refuse_tokens(self, why: str) -> None:
        """For a variant to which x is numbers.

        Args:
            why: who asks, and what it does with x.

        Raises:
            UserError: the samples are sequences of tokens.
        """
        if self.kind == "sequence":
            raise UserError(f"{why}, and {self.name} holds tokens: use another variant.")

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values from which :meth:`from_dict` makes an equal spec."""
        plain = {k: list(v) if isinstance(v, tuple) else v for k, v in vars(self).items()}
        schema = self.schema.to_dict() if self.schema else None
        return {
            **plain,
            "preprocessing": self.preprocessing.to_dict(),
            "schema": schema,
            "tokenizer": describe(self.tokenizer),
        }

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> "DataSpec":
        schema = Schema.from_dict(state["schema"]) if state.get("schema") else None
        preprocessing, tokenizer = Preprocessing.from_dict(state["preprocessing"]), build(state.get("tokenizer"))
        return cls(**{**state, "preprocessing": preprocessing, "schema": schema, "tokenizer": tokenizer})
