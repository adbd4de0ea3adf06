"""Whether a packed model's files are those that were packed, by their SHA-256."""

import hashlib
import json
from pathlib import Path

from lit_ae.errors import UserError

HASHES = "hashes.json"


def seal(directory: Path) -> None:
    """Writes the SHA-256 (hex) of every file of a model's folder beside them. Call it when all else is written."""
    (directory / HASHES).write_text(json.dumps(hashes(directory), indent=2) + "\n")


def verify(directory: Path) -> None:
    """Refuses a folder that is not as :func:`seal` left it.

    Raises:
        UserError: naming the file that was changed, taken away or added.
    """
    kept = _sealed(directory)
    found = hashes(directory)
    for name in sorted(kept.keys() | found.keys()):
        if kept.get(name) != found.get(name):
            what = "is missing" if name not in found else "was added" if name not in kept else "was changed"
            raise UserError(
                f"{directory / name} {what} after the model was packed, so it is not loaded: fetch or train it again."
            )


def hashes(directory: Path) -> dict[str, str]:
    """The SHA-256 (hex) of each file below a folder but the list of hashes itself, by its relative path."""
    files = sorted(file for file in directory.rglob("*") if file.is_file() and file != directory / HASHES)
    return {file.relative_to(directory).as_posix(): _sha256(file) for file in files}


def _sealed(directory: Path) -> dict[str, str]:
    file = directory / HASHES
    if not file.is_file():
        raise UserError(f"{file} is missing, so nothing says whether the model is whole: fetch or train it again.")
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
    except ValueError:
        kept = None
    if not isinstance(kept, dict):
        raise UserError(f"{file} was changed after the model was packed, so it is not loaded: fetch or train it again.")
    return kept


def _sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
