"""Files whose content is known by its SHA-256: read, or fetched from mirrors."""

import hashlib
import os.path
from collections.abc import Callable, Mapping, Sequence
from http.client import HTTPException
from pathlib import Path
from tempfile import TemporaryFile
from urllib.parse import urlsplit
from urllib.request import urlopen
from uuid import uuid4

from tqdm import tqdm

from lit_ae.errors import UserError

CHUNK = 1 << 18  # bytes
PATIENCE = 30.0  # seconds that a mirror may be silent


class _WrongContentError(Exception):
    """A mirror gave something else."""


def read_checked(path: Path, sha256: str) -> bytes:
    """The content of a file.

    Raises:
        UserError: if the file cannot be read or has another SHA-256.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): give this user the right to read it.") from error
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise UserError(
            f"{path} is damaged, its SHA-256 is {found} instead of {sha256}: delete it, and the next start downloads "
            "it again, or put an undamaged copy in its place."
        )
    return content


def fetch(missing: Mapping[str, str], folder: Path, mirrors: Sequence[str]) -> None:
    """Downloads files. Each appears in the folder complete and checked, or not at all.

    Args:
        missing: SHA-256 by file name.
        folder: where they belong; made if it is not there.
        mirrors: addresses that end in "/", tried in this order for each file.

    Raises:
        UserError: if the folder cannot be written to, or none of the mirrors gave a file.
    """
    if not missing:
        return
    _make_writable(folder, missing)
    for name, sha256 in missing.items():
        failures: list[str] = []
        for mirror in mirrors:
            try:
                _download(mirror + name, sha256, folder / name)
                break
            except (OSError, HTTPException, _WrongContentError) as failure:
                failures.append(f"{urlsplit(mirror).netloc}: {failure}")
        else:
            raise missing_files(missing, folder, f"{name} could not be downloaded ({'; '.join(failures)})")


def fetch_converted(url: str, target: Path, sha256: str, convert: Callable[[bytes], bytes]) -> None:
    """Downloads one file and keeps what is made of it, complete and checked, or not at all.

    Args:
        url: its address.
        target: the file to make; its folder too.
        sha256: of what is made.
        convert: makes it.

    Raises:
        UserError: if the folder cannot be written to, or the address does not give that file.
    """
    missing = {target.name: sha256}
    _make_writable(target.parent, missing)
    part = target.with_name(f".{target.name}.{uuid4().hex}.part")
    try:
        _copy(url, part)
        content = convert(part.read_bytes())
        if (found := hashlib.sha256(content).hexdigest()) != sha256:
            raise _WrongContentError(f"the SHA-256 of what it holds is {found} instead of {sha256}")
        part.write_bytes(content)
        part.replace(target)
    except (OSError, HTTPException, UnicodeDecodeError, _WrongContentError) as failure:
        why = f"it could not be downloaded ({urlsplit(url).netloc}: {failure})"
        raise missing_files(missing, target.parent, why) from failure
    finally:
        part.unlink(missing_ok=True)


def missing_files(names: Mapping[str, str], folder: Path, why: str) -> UserError:
    """The error that says which files a folder lacks, why, and what to do."""
    absent = ", ".join(name for name in names if not os.path.exists(folder / name))
    return UserError(
        f"{folder} lacks {absent}, and {why}: put what is missing there, or say where it is with --data.root or the "
        "environment variable LIT_AE_DATA."
    )


def _make_writable(folder: Path, missing: Mapping[str, str]) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        TemporaryFile(dir=folder).close()
    except OSError as error:
        raise missing_files(missing, folder, f"nothing can be written there ({error.strerror})") from error


def _download(url: str, sha256: str, target: Path) -> None:
    part = target.with_name(f".{target.name}.{uuid4().hex}.part")
    try:
        found = _copy(url, part)
        if found != sha256:
            raise _WrongContentError(f"its SHA-256 is {found} instead of {sha256}")
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def _copy(url: str, target: Path) -> str:
    """Writes what the address gives to a file, and returns the SHA-256 of it."""
    sha = hashlib.sha256()
    with urlopen(url, timeout=PATIENCE) as answer, target.open("wb") as file:
        length = int(answer.headers.get("Content-Length") or 0) or None
        with tqdm(total=length, unit="B", unit_scale=True, desc=target.name.split(".")[1], disable=None) as progress:
            while chunk := answer.read(CHUNK):
                sha.update(chunk)
                file.write(chunk)
                progress.update(len(chunk))
    return sha.hexdigest()
