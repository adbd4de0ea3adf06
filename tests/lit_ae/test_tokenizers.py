"""Strings to token ids and back: nothing is lost, nothing is made up, and what can't be is said."""

import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lit_ae.errors import UserError
from lit_ae.preprocessing import Rescale
from lit_ae.spec import DataSpec
from lit_ae.tokenizers import END, MARKS, PAD, UNKNOWN, Characters, Selfies, Smiles, Tokenizer, Words

MOLECULES = ["CCO", "c1ccccc1Br", "C[N+](C)(C)C", "O=C(O)c1ccccc1Cl", "[Na+].[Cl-]", "C1CCCCC1"]
smiles_like = st.text(st.sampled_from("CcNnOoBrl[]()=#%1234567890+-@./\\ \n"), max_size=30)
lossless = pytest.mark.parametrize("kind", [Characters, Words, Smiles])


@lossless
@settings(deadline=None)
@given(text=st.text() | smiles_like)
def test_the_tokens_of_a_string_joined_are_the_string(kind: type[Tokenizer], text: str) -> None:
    tokens = kind.tokenise(text)
    assert kind.detokenise(tokens) == text
    assert all(tokens)
    assert not {*tokens} & {*MARKS}


@pytest.mark.parametrize("kind", [Characters, Words])
@settings(deadline=None)
@given(texts=st.lists(st.text(min_size=1), min_size=1, max_size=5))
def test_what_was_fitted_comes_back(kind: type[Tokenizer], texts: list[str]) -> None:
    tokenizer = kind.fit(texts)
    ids = tokenizer.encode(texts)
    assert tokenizer.decode(ids) == tokenizer.decode(ids.float()) == texts
    ended = (ids == MARKS.index(END)).int().argmax(1)
    assert (ids == MARKS.index(END)).sum(1).eq(1).all()
    assert ended.max() == tokenizer.length - 1
    assert [(row[end + 1 :] == MARKS.index(PAD)).all() for row, end in zip(ids, ended, strict=True)]


@settings(deadline=None)
@given(ids=st.lists(st.integers(0, 9), min_size=1, max_size=12))
def test_any_row_of_ids_is_some_string(ids: list[int]) -> None:
    tokenizer = Characters("abcdefg", length=len(ids))
    (text,) = tokenizer.decode(torch.tensor([ids]))
    before = ids[: ids.index(MARKS.index(END))] if MARKS.index(END) in ids else ids
    assert text == "".join(tokenizer.vocabulary[i] for i in before if i != MARKS.index(PAD))


def test_atoms_in_brackets_and_of_two_letters_and_large_ring_numbers_are_one_token() -> None:
    tokens = Smiles.tokenise("C[C@@H](Cl)c%12Br[13C]%(100)cn")
    assert tokens == ["C", "[C@@H]", "(", "Cl", ")", "c", "%12", "Br", "[13C]", "%(100)", "c", "n"]
    assert Words.tokenise("it's  new") == ["it", "'", "s", " ", " ", "new"]


def test_the_vocabulary_is_of_the_fitted_strings_alone_the_most_frequent_first() -> None:
    tokenizer = Characters.fit(["aab", "abc"], most=2)
    assert tokenizer.vocabulary == (PAD, END, UNKNOWN, "a", "b")
    assert tokenizer.length == 4
    assert tokenizer.encode(["cax"]).tolist() == [[2, 3, 2, 1]]


def test_every_writing_of_a_molecule_is_the_same_row() -> None:
    tokenizer = Smiles.fit(Smiles.normalise(one) for one in MOLECULES)
    assert torch.equal(*(tokenizer.encode([one]) for one in ("OCC", "C(O)C")))
    assert tokenizer.decode(tokenizer.encode(["OCC"])) == ["CCO"]


def test_selfies_comes_back_as_the_molecule_and_any_tokens_are_one() -> None:
    from lit_ae.molecules import canonical

    forms = [Selfies.normalise(one) for one in MOLECULES]
    tokenizer = Selfies.fit(forms)
    assert all(token[0] in "[." for token in tokenizer.vocabulary[len(MARKS) :])
    assert tokenizer.decode(tokenizer.encode(forms)) == forms
    organic = Selfies.fit(forms[:4])
    drawn = torch.randint(len(MARKS), len(organic.vocabulary), (40, 12), generator=torch.Generator().manual_seed(0))
    decoded = [smiles for smiles in organic.decode(drawn) if smiles]
    assert len(decoded) > 30
    assert None not in [canonical(smiles) for smiles in decoded]


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        (["CCO", 3], "Row 1 is of type int, but every row must be a string"),
        (["CCO", None], "Row 1 is of type NoneType"),
        (["C(C"], "Row 0 is no valid SMILES"),
        ([""], "Row 0 is no valid SMILES"),
        (["C" * 99], "Row 0 has 99 tokens, and the model was made for 16 at most"),
    ],
)
@pytest.mark.parametrize("kind", [Smiles, Selfies])
def test_a_row_that_is_none_is_named(kind: type[Tokenizer], rows: list[str], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        kind(["C", "O"], length=17).encode(rows)


def test_a_molecule_without_selfies_is_named() -> None:
    with pytest.raises(UserError, match="Row 0 has no SELFIES"):
        Selfies(["[C]"], length=9).encode(["*C"])
    assert not Selfies.expresses("*C")
    assert Selfies.expresses("CC")


@pytest.mark.parametrize("kind", [Characters, Words, Smiles, Selfies])
def test_it_travels_in_the_spec_as_json(kind: type[Tokenizer]) -> None:
    tokenizer = kind.fit(MOLECULES)
    vocabulary = tokenizer.vocabulary
    spec = DataSpec("x", "sequence", (9,), Rescale(0, 1), vocabulary=vocabulary, pad=0, tokenizer=tokenizer)
    again = DataSpec.from_dict(json.loads(json.dumps(spec.to_dict())))
    assert type(again.tokenizer) is kind
    assert again.tokenizer.vocabulary == vocabulary
    assert torch.equal(again.tokenizer.encode(MOLECULES), tokenizer.encode(MOLECULES))
    assert again.to_dict() == spec.to_dict()
