"""Whether a packed model's files are those that were packed, by their SHA-256.

Two lists keep them: the model's own folder has one of its weights and descriptions, and the packed model around it has
one of all else, its code above all. They protect from what happens to files: a fetch that broke off, a disk that
failed, a hand that mended something. Whoever means harm and may write a file may write its list too: against them
only the rights on the store help.
"""

import contextlib
import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

import yaml

from lit_ae.errors import UserError

HASHES = "hashes.json"
MLMODEL, CODE, DATA = "MLmodel", "code/", "data/"
LOADED_BY = ("flavors", "signature")  # the parts of the MLmodel file that stay as they are when MLflow logs a model


def seal(directory: Path) -> None:
    """Writes the SHA-256 (hex) of every file of a model's own folder beside them. Call it when all else is written."""
    _write(directory, _hashes(directory, _files(directory)))


def verify(directory: Path) -> None:
    """Refuses a folder that is not as :func:`seal` left it.

    Raises:
        UserError: naming the file that was changed, taken away or added.
    """
    _refuse_other(directory, _sealed(directory), _hashes(directory, _files(directory)))


def seal_package(packed: Path) -> None:
    """Writes the same of what a packed model holds beside its own folder: code, requirements, example, MLmodel."""
    _write(packed, _hashes(packed, _beside_data(packed)))


def verify_package(packed: Path) -> None:
    """Refuses a packed model that is not as :func:`seal_package` left it.

    What else a store or a server puts beside these files does not count, but among the code nothing may be added;
    what Python compiles there (``__pycache__``) it makes itself. The commands of this project ask this of the
    installed code, before anything that was packed is imported. Where the packed code asks it of itself, as it does in
    ``mlflow models serve``, a change is found only as long as it leaves this very question alone.

    Raises:
        UserError: naming the file that was changed, taken away or added.
    """
    kept = _sealed(packed)
    asked = [name for name in _beside_data(packed) if name in kept or name.startswith(CODE)]
    _refuse_other(packed, kept, _hashes(packed, asked))


def _hashes(directory: Path, names: Iterable[str]) -> dict[str, str]:
    """The SHA-256 (hex) of files of a folder by their relative path."""
    return {name: (_sha256_of_loading if name == MLMODEL else _sha256)(directory / name) for name in names}


def _sha256_of_loading(mlmodel: Path) -> str:
    """Of the lasting parts of an MLmodel file; of the whole of one that lacks them."""
    content = mlmodel.read_bytes()
    with contextlib.suppress(yaml.YAMLError, KeyError, TypeError):
        described = yaml.safe_load(content)
        content = json.dumps({name: described[name] for name in LOADED_BY}, sort_keys=True).encode()
    return hashlib.sha256(content).hexdigest()


def _sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _files(directory: Path) -> list[str]:
    """Every file below a folder but the list of hashes itself, and what Python has compiled."""
    files = sorted(file for file in directory.rglob("*") if file.is_file() and file != directory / HASHES)
    return [file.relative_to(directory).as_posix() for file in files if file.parent.name != "__pycache__"]


def _beside_data(packed: Path) -> list[str]:
    return [name for name in _files(packed) if not name.startswith(DATA)]


def _write(directory: Path, kept: dict[str, str]) -> None:
    (directory / HASHES).write_text(json.dumps(kept, indent=2) + "\n")


def _refuse_other(directory: Path, kept: dict[str, str], found: dict[str, str]) -> None:
    for name in sorted(kept.keys() | found.keys()):
        if kept.get(name) != found.get(name):
            what = "is missing" if name not in found else "was added" if name not in kept else "was changed"
            raise UserError(
                f"{directory / name} {what} after the model was packed, so it is not loaded: fetch or train it again."
            )


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
