"""A value that can't be right is refused from the annotation's text, and one that may be right never is."""

from typing import Any

import jsonargparse
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.values import Wanted, refusal, wanted

ANNOTATIONS = {
    "int": int,
    "float": float,
    "bool": bool,
    "int | None": int | None,
    "Optional[float]": float | None,
    "Union[bool, int]": bool | int,
}


@pytest.mark.parametrize(
    ("annotation", "value", "words"),
    [
        ("int", "abc", (["a whole number"], [])),
        ("int", "2.5", (["a whole number"], [])),
        ("float | None", "much", (["a number"], [])),
        ("bool", "maybe", (["true or false"], [])),
        ("Literal['none', 'dynamic']", "dinamic", ([], ["none", "dynamic"])),
        ("Optional[Union[int, float]]", "x", (["a whole number", "a number"], [])),
    ],
)
def test_what_is_certainly_wrong_is_refused(annotation: str, value: str, words: tuple[list[str], list[str]]) -> None:
    assert wanted(annotation, value) == Wanted(*words)


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        ("int", "1_000"), ("int", "0x10"), ("int", "1e3"), ("float", "inf"), ("float", ".5"), ("int | None", "null"),
        ("bool", "True"), ("Literal['a', 2]", "2"), ("str", "anything"), ("list[int]", "x"), ("int | str", "auto"),
        ("Callable[[int], Network]", "x"), ("not python!", "x"), ("Schedule | float", "x"),
    ],
)  # fmt: skip
def test_what_may_be_right_passes(annotation: str, value: str) -> None:
    assert wanted(annotation, value) is None


@given(
    st.sampled_from(list(ANNOTATIONS)),
    st.one_of(st.integers().map(str), st.floats().map(str), st.sampled_from(["true", "no", "null", "~", "x", "1e3"])),
)
def test_nothing_is_refused_that_the_parser_takes(annotation: str, value: str) -> None:
    parser: Any = jsonargparse.ArgumentParser(exit_on_error=False)
    parser.add_argument("--value", type=ANNOTATIONS[annotation])
    try:
        parser.parse_args([f"--value={value}"])
    except jsonargparse.ArgumentError:
        return
    assert wanted(annotation, value) is None


def test_the_sentence_names_the_nearest_choice() -> None:
    sentence = refusal("data.binarize", "dinamic", Wanted([], ["none", "dynamic"]))
    assert sentence == "--data.binarize can't be 'dinamic': did you mean dynamic? It takes one of none, dynamic."
