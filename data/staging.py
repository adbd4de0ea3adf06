"""A table brought into a form that can be streamed: once, and whole or not at all."""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file

from data.intake import Sample
from data.learned_schema import Learned
from data.roles import Role, Rows
from data.splits import ROLES
from data.streaming import RowWriter
from lit_ae.errors import UserError
from lit_ae.preprocessing import Preprocessing, Tabular
from lit_ae.schema import Schema

if TYPE_CHECKING:
    from data.table_data import TableData

FIT, HELD_OUT, META = "fit.parquet", "held_out.safetensors", "staged.json"


class FitSample(Sample):
    """Of the training rows a bounded sample in memory; all of them go to disk.

    Args:
        most: rows of the sample.
        writer: takes them all.
    """

    def __init__(self, most: int, writer: RowWriter):
        super().__init__(most)
        self._writer, self._sha = writer, hashlib.sha256()

    def add(self, rows: Rows, keys: NDArray[np.uint64]) -> None:
        self._writer.write(rows.raw)
        self._sha.update(rows.raw.numpy().data)
        super().add(rows, keys)

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of all rows."""
        return self._sha.hexdigest()


class Staged:
    """A folder with all training rows, a sample of every role, and what was learned.

    Args:
        folder: that :meth:`of` has filled.
    """

    def __init__(self, folder: Path):
        self.fit = folder / FIT
        self.meta: dict[str, Any] = json.loads((folder / META).read_text())
        tensors = load_file(folder / HELD_OUT)
        self.rows: dict[Role, Rows] = {
            role: Rows(**{name: tensors[f"{role}.{name}"] for name in Rows._fields if f"{role}.{name}" in tensors})
            for role in ROLES
            if f"{role}.raw" in tensors
        }

    @property
    def learned(self) -> Learned:
        """Schema and scaling."""
        preprocessing = Preprocessing.from_dict(self.meta["preprocessing"])
        assert isinstance(preprocessing, Tabular)
        return Learned(Schema.from_dict(self.meta["schema"]), preprocessing)

    @classmethod
    def of(cls, data: "TableData", where: Path, most: int, fingerprint: Mapping[str, Any]) -> "Staged":
        """What the table was made into, now or before.

        Args:
            data: the table.
            where: the folder that holds all staged tables.
            most: rows of each role's sample.
            fingerprint: plain values; another one makes another folder.

        Raises:
            UserError: if the folder cannot be written to, or the table is wrong.
        """
        name = hashlib.sha256(json.dumps(fingerprint, sort_keys=True, default=str).encode()).hexdigest()[:24]
        folder = where / name
        try:
            where.mkdir(parents=True, exist_ok=True)
            with FileLock(where / f"{name}.lock"):
                if not folder.is_dir():
                    _stage(data, folder, most)
        except OSError as error:
            raise UserError(f"{folder} cannot be written ({error.strerror}): choose another data.staging.") from error
        return cls(folder)


def _stage(data: "TableData", folder: Path, most: int) -> None:
    draft = folder.with_name(f".{folder.name}.{uuid4().hex}")
    draft.mkdir()
    try:
        learned = data.learn()
        writer = RowWriter(draft / FIT, len(learned.schema.columns))
        fit = FitSample(most, writer)
        samples = {role: fit if role == "fit" else Sample(most) for role in ROLES}
        rows = data.collected(samples, learned)
        writer.close()
        tensors = {f"{role}.{n}": t for role, one in rows.items() for n, t in one._asdict().items() if t is not None}
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, draft / HELD_OUT)
        meta = {
            "schema": learned.schema.to_dict(),
            "preprocessing": learned.preprocessing.to_dict(),
            "digest": fit.digest,
            "seen": {role: sample.seen for role, sample in samples.items()},
            "families": data.families,
            "left_out": data.left_out,
        }
        (draft / META).write_text(json.dumps(meta, indent=2))
        os.replace(draft, folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
