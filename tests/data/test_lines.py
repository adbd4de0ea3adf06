"""Text files of every sort: read line by line, or refused in one sentence."""

import gzip
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data.lines import GZIP, LONGEST, read_lines
from lit_ae.errors import UserError

anything = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@anything
@given(
    lines=st.lists(st.text(st.characters(exclude_characters="\n\r", exclude_categories=["Cs"])), min_size=1),
    packed=st.booleans(),
    marked=st.booleans(),
    end=st.sampled_from(["\n", "\r\n"]),
)
def test_every_line_comes_back(tmp_path: Path, lines: list[str], packed: bool, marked: bool, end: str) -> None:
    lines = [line.removeprefix("\ufeff") for line in lines]
    content = b"\xef\xbb\xbf" * marked + "".join(line + end for line in lines).encode()
    path = tmp_path / "some.txt"
    path.write_bytes(gzip.compress(content) if packed else content)
    assert list(read_lines(path)) == lines


@anything
@given(content=st.binary(max_size=200), packed=st.booleans(), kept=st.integers(0, 200))
def test_any_bytes_are_lines_or_a_sentence(tmp_path: Path, content: bytes, packed: bool, kept: int) -> None:
    path = tmp_path / "some.txt"
    written = gzip.compress(content)[:kept] if packed else content
    path.write_bytes(written)
    told, read = "", []
    try:
        read = list(read_lines(path))
    except UserError as error:
        told = str(error)
    assert told.startswith(str(path)) or len(read) == lines_of(content if written[:2] == GZIP else written)
    assert "\n" not in told


def lines_of(content: bytes) -> int:
    return content.count(b"\n") + (content[-1:] not in (b"", b"\n"))


def test_the_last_line_needs_no_end(tmp_path: Path) -> None:
    path = tmp_path / "some.txt"
    path.write_bytes(b"one\n\ntwo")
    assert list(read_lines(path)) == ["one", "", "two"]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"good\nbad \xe9\n", r"line 2, byte 5 is not UTF-8: save the whole file in that one encoding"),
        ("CCO\n".encode("utf-16"), "is UTF-16: save it as UTF-8"),
        (gzip.compress(b"CCO\n" * 1000)[:-12], "is no whole gzip file"),
        (b"CCO\n" + b"C" * (LONGEST + 5), "line 2 has more than 1,048,576 bytes"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path: Path, content: bytes, sentence: str) -> None:
    path = tmp_path / "some.txt"
    path.write_bytes(content)
    with pytest.raises(UserError, match=sentence):
        list(read_lines(path))


def test_a_line_of_two_gigabytes_is_refused_after_its_first_part(tmp_path: Path) -> None:
    path = tmp_path / "long.txt"
    with path.open("wb") as file:
        file.truncate(2 << 30)  # takes no room on the disk
    with pytest.raises(UserError, match=r"line 1 has more than 1,048,576 bytes"):
        list(read_lines(path))


@pytest.mark.parametrize("name", ["absent.txt", "."])
def test_what_is_no_file_is_said(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="can't be read"):
        list(read_lines(tmp_path / name))
