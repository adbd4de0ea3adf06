"""Text files and molecules as data: roles that share nothing, a vocabulary of the training strings, honest counts."""

import gzip
import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import data.smiles
from data import SMILES, Sequences
from data.derived import derived_array, derived_lines
from data.strings import apart_by_hash
from lit_ae.errors import UserError
from lit_ae.tokenizers import MARKS, UNKNOWN

WORDS = [f"{first}{second}{third}" for first in "abc" for second in "abc" for third in "abcd"]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LIT_AE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def text_file(folder: Path, *lines: str) -> Path:
    path = folder / "some.txt"
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


@settings(deadline=None)
@given(st.lists(st.text(max_size=3), min_size=12), st.floats(0.05, 0.4), st.floats(0.05, 0.4))
def test_roles_share_no_string_and_lose_none(texts: list[str], tune: float, test: float) -> None:
    texts = [*texts, *WORDS]
    roles = apart_by_hash(texts, tune, test)
    assert sorted(text for held in roles.values() for text in held) == sorted(texts)
    distinct = [set(held) for held in roles.values()]
    assert sum(map(len, distinct)) == len(set(texts))
    assert min(map(len, distinct)) >= 2
    again = apart_by_hash(texts[::-1], tune, test)
    assert [set(held) for held in again.values()] == distinct
    calibrated = apart_by_hash(texts, tune, test, 0.1)
    assert list(calibrated) == ["fit", "tune", "calibrate", "test"]
    assert (set(calibrated["tune"]), set(calibrated["test"])) == (set(roles["tune"]), set(roles["test"]))
    assert set(calibrated["fit"]) | set(calibrated["calibrate"]) == set(roles["fit"])
    assert not set(calibrated["fit"]) & set(calibrated["calibrate"])


def test_a_text_file_is_ids_that_come_back(tmp_path: Path) -> None:
    path = text_file(tmp_path, *WORDS, "")
    made = Sequences(path=str(path))
    made.setup()
    assert made.left_out == {"empty lines": 1}
    assert sum(made.split_sizes.values()) == len(WORDS)
    assert (made.spec.kind, made.spec.shape, made.spec.name) == ("sequence", (4,), "some")
    assert made.spec.value_range == (0, len(MARKS) + 3)
    for role, rows in made.rows.items():
        assert made.spec.tokenizer.decode(rows.raw) == made.strings(role)
        assert torch.equal(made.split(role).x, rows.raw.float())
    assert made.example() == made.strings("test")[:3]


def test_what_the_training_strings_do_not_know_is_counted_and_stays(tmp_path: Path) -> None:
    held_out = apart_by_hash(WORDS, 0.1, 0.1)["test"]
    strange = [word for word in WORDS if word not in held_out]
    made = Sequences(path=str(text_file(tmp_path, *WORDS)), vocabulary_size=2)
    made.setup()
    unknown = made.rows["test"].raw.eq(MARKS.index(UNKNOWN)).any(1).sum().item()
    assert unknown == sum(len(set(word) - set(made.tokenizer.vocabulary)) > 0 for word in held_out)
    assert made.noticed["test strings with unknown tokens"] == unknown
    assert made.left_out == {}
    assert len(made.tokenizer.vocabulary) == len(MARKS) + 2
    assert len(strange) == made.split_sizes["fit"] + made.split_sizes["tune"]


def test_what_is_too_long_is_left_out_of_every_role_and_counted(tmp_path: Path) -> None:
    lines = [*WORDS, *(word * 3 for word in WORDS)]
    made = Sequences(path=str(text_file(tmp_path, *lines)), length=3, tune_share=0.2, test_share=0.2)
    made.setup()
    counted = {role: made.left_out[f"{role} strings of more than 3 tokens"] for role in ("fit", "tune", "test")}
    assert sum(counted.values()) == len(WORDS)
    assert sum(made.split_sizes.values()) == len(WORDS)
    assert {len(text) for texts in made.texts.values() for text in texts} == {3}


def test_the_digest_tells_texts_apart_that_have_the_same_ids(tmp_path: Path) -> None:
    other = str.maketrans("abcd", "wxyz")
    paths = [text_file(tmp_path, *WORDS), tmp_path / "other.txt"]
    paths[1].write_text("".join(f"{word.translate(other)}\n" for word in WORDS))
    first, second, again = (Sequences(path=str(path)).digest for path in (*paths, paths[0]))
    assert first == again != second


@pytest.mark.parametrize(
    ("lines", "options", "sentence"),
    [
        ([], {}, "holds no text"),
        (["", ""], {}, "holds no text"),
        (["a", "b", "c"], {}, "3 distinct strings are too few"),
        (WORDS, {"length": 1}, r"some has 0 fit string\(s\) of 1 tokens or less"),
        (WORDS, {"length": 0}, "data.length is 0"),
        (WORDS, {"vocabulary_size": 0}, "data.vocabulary_size is 0"),
        (WORDS, {"test_share": 0.7}, "data.test_share is 0.7"),
        (WORDS, {"tokens": "syllables"}, "data.tokens is 'syllables', but it must be one of characters, words"),
    ],
)
def test_what_can_not_be_is_said(tmp_path: Path, lines: list[str], options: dict, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        Sequences(path=str(text_file(tmp_path, *lines)), **options).setup()


def test_a_file_is_found_under_root_and_packed_too(tmp_path: Path) -> None:
    (tmp_path / "packed.txt.gz").write_bytes(gzip.compress("\n".join(WORDS).encode()))
    made = Sequences(path="packed.txt.gz", root=str(tmp_path), tokens="words")
    made.setup()
    assert made.spec.name == "packed"
    assert made.spec.shape == (2,)


@pytest.mark.parametrize("notation", ["smiles", "selfies"])
def test_molecules_are_canonical_and_the_others_counted(tmp_path: Path, cache: Path, notation: str) -> None:
    carbons = ["C" * length for length in range(1, 12)]
    path = text_file(tmp_path, *(f"{c}O ethanol-like" for c in carbons), "OCC", "C(C", "nonsense", "", "*C")
    made = SMILES(path=str(path), notation=notation)
    made.setup()
    expressible = 12 if notation == "selfies" else 13
    assert sum(made.split_sizes.values()) == expressible
    assert made.left_out["strings that are no valid SMILES"] == 2
    assert made.left_out.get("molecules that SELFIES cannot express", 0) == 13 - expressible
    texts = [text for texts in made.texts.values() for text in texts]
    assert texts.count("CCO") == 2
    for role in ("fit", "tune", "test"):
        assert made.spec.tokenizer.decode(made.rows[role].raw) == made.strings(role)


def test_properties_are_rdkits_and_are_kept(tmp_path: Path, cache: Path) -> None:
    from rdkit.Chem import QED, Crippen, MolFromSmiles

    made = SMILES(path=str(text_file(tmp_path, *("C" * length + "O" for length in range(1, 12)))))
    found = made.properties("fit", 3)
    smiles = made.strings("fit")[:3]
    wanted = [[Crippen.MolLogP(m), QED.qed(m)] for m in map(MolFromSmiles, smiles)]
    assert torch.allclose(found[:, :2], torch.tensor(wanted).float())
    assert ((found[:, 2] >= 1) & (found[:, 2] <= 10)).all()
    (kept,) = cache.glob("properties-*.npy")
    np.save(kept, np.zeros((3, 3), np.float32))
    assert made.properties("fit", 3).eq(0).all()


def test_the_molecules_that_rdkit_ships_need_no_file_and_no_writable_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIT_AE_CACHE", "/dev/null/nowhere")
    made = SMILES(length=60)
    made.setup()
    assert made.spec.name == "NCI"
    assert made.left_out["strings that are no valid SMILES"] == 8
    assert sum(made.split_sizes.values()) + sum(made.left_out.values()) == 4999


def test_a_damaged_file_of_the_cache_is_made_anew(tmp_path: Path) -> None:
    for content in (b"", b"one\n", b"\xff\xfe", b"\x93NUMPY"):
        for name in ("lines.txt", "array.npy"):
            (tmp_path / name).write_bytes(content)
        assert derived_lines(tmp_path / "lines.txt", 2, lambda: ["a", ""]) == ["a", ""]
        assert (tmp_path / "lines.txt").read_bytes() == b"a\n\n"
        numbers = derived_array(tmp_path / "array.npy", (2,), lambda: np.ones(2, np.float32))
        assert (numbers == 1).all()
        assert (np.load(tmp_path / "array.npy") == 1).all()


def test_zinc_is_downloaded_as_its_column_checked_and_split_as_usual(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    smiles = ["C" * length + "O" for length in range(1, 21)]
    table = "smiles,logP,qed,SAS\n" + "".join(f'"{one}\n",1.0,0.5,2.0\n' for one in smiles)
    (tmp_path / "zinc.csv").write_text(table)
    text = "".join(f"{one}\n" for one in smiles).encode()
    monkeypatch.setattr(data.smiles, "ZINC_SOURCE", (tmp_path / "zinc.csv").as_uri())
    monkeypatch.setattr(data.smiles, "ZINC_TEST", 5)
    wrong = SMILES(source="zinc", root=str(tmp_path / "root"))
    with pytest.raises(UserError, match=r"SHA-256 of what it holds is \w+ instead of"):
        wrong.prepare_data()
    assert list((tmp_path / "root" / "ZINC250k").iterdir()) == []
    monkeypatch.setattr(data.smiles, "ZINC_SHA256", hashlib.sha256(text).hexdigest())
    made = SMILES(source="zinc", root=str(tmp_path / "root"), length=99)
    made.setup()
    assert made.file.read_bytes() == text
    assert made.strings("test") == smiles[:5]
    assert made.split_sizes == {"fit": 13, "tune": 2, "test": 5}
    assert made.spec.name == "ZINC250k"
