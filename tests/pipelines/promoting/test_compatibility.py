"""Whoever asks the champion can ask the model that takes its place."""

import pytest

from lit_ae.preprocessing import Rescale
from lit_ae.schema import Column, Schema
from lit_ae.spec import DataSpec
from lit_ae.tokenizers import Characters
from pipelines.promoting.compatibility import incompatible

FLOW = Column("flow", "numeric", "float64", 0.0, 1.0)
VALVE = Column("valve", "categorical", "string", categories=("open", "shut"))
MORE = Column("valve", "categorical", "string", categories=("open", "shut", "ajar"))
FEWER = Column("valve", "categorical", "string", categories=("open",))
NUMBER = Column("valve", "numeric", "float64", 0.0, 1.0)


def table(*columns: Column, shape: tuple[int, ...] = (4,), missing: str = "mean") -> DataSpec:
    return DataSpec("Plant", "table", shape, Rescale(0, 1), schema=Schema(columns, missing))


def image(*shape: int) -> DataSpec:
    return DataSpec("Image", "image", shape, Rescale(0, 255))


def strings(letters: str) -> DataSpec:
    tokenizer = Characters(list(letters), 9)
    return DataSpec("Words", "sequence", (9,), Rescale(0, 1), vocabulary=tokenizer.vocabulary, tokenizer=tokenizer)


CASES = {
    "the same": (table(FLOW, VALVE), table(FLOW, VALVE), None),
    "fewer columns": (table(FLOW, VALVE), table(FLOW, shape=(2,)), None),
    "more categories": (table(FLOW, VALVE), table(FLOW, MORE, shape=(5,)), None),
    "another column": (table(FLOW), table(FLOW, VALVE), "it needs the column 'valve', which the champion does not"),
    "another kind": (table(VALVE), table(NUMBER), "the column 'valve' is numeric, and categorical for the champion"),
    "a lost category": (table(VALVE), table(FEWER), "it does not know the category 'shut' of 'valve'"),
    "no gaps": (table(FLOW), table(FLOW, missing="refuse"), "takes missing values, and this model refuses them"),
    "windows": (table(FLOW), table(FLOW, shape=(5, 4)), "looks at single rows, and this model at windows of 5 rows"),
    "numbers": (table(FLOW), image(1, 8, 8), "the champion takes a table, and this model numbers"),
    "larger": (image(1, 8, 8), image(1, 28, 28), "samples of shape [1, 8, 8], and this model [1, 28, 28]"),
    "same images": (image(1, 8, 8), image(1, 8, 8), None),
    "more letters": (strings("ab"), strings("abc"), None),
    "fewer letters": (strings("abc"), strings("ab"), "this model can't read c, which the champion can"),
}


@pytest.mark.parametrize(("champion", "model", "reason"), CASES.values(), ids=CASES)
def test_what_the_champion_takes_the_model_takes(champion, model, reason):
    found = incompatible(champion, model, True, True)
    assert found is None if reason is None else reason in found


def test_verdicts_are_not_lost_and_may_be_won():
    assert incompatible(image(1, 8, 8), image(1, 8, 8), False, True) is None
    assert "has no detector" in incompatible(image(1, 8, 8), image(1, 8, 8), True, False)
