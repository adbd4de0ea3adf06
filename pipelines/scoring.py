"""Scoring a table from the first check to the whole file of answers: read it from :func:`score` downwards."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as parquet
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from data.readers import BLOCK, PARQUET, TableReader
from lit_ae.detection.detector import Detector
from lit_ae.errors import UserError
from lit_ae.schema import Schema
from lit_ae.serving.files import load_detector
from lit_ae.serving.frames import Frame
from lit_ae.serving.verdicts import verdicts
from lit_ae.spec import DataSpec
from lit_ae.tokenizers import Tokenizer
from lit_ae.windows import window_rows
from pipelines.models import fetch_model
from pipelines.parts import NotWritableError, Parts
from pipelines.score import Job
from pipelines.terminal import keep_quiet

ANSWER = pa.schema(
    {
        "row": pa.int64(),
        "score": pa.float64(),
        "p_value": pa.float64(),
        "verdict": pa.string(),
        "reasons": pa.string(),
    }
)


def score(job: Job) -> int:
    """Scores every row of a table; the answers appear whole or not at all. Returns the exit code.

    Raises:
        UserError: for a model without a detector, or a table that it can't read; nothing is written then.
    """
    keep_quiet()
    folder = fetch_model(job.model, job.output_dir)
    detector = load_detector(folder)
    if detector is None:
        raise UserError(f"{job.model} has no detector: train it on data that say what is normal.")
    reader = reader_of(job, detector.model.spec)
    parts = Parts(job.output, {"model": digest(folder), "input": identity(job.input), **job.of_answers})
    if parts.kept:
        print(f"Going on after {parts.kept} parts that an earlier process has left.")
    try:
        alarms = answer_all(detector, reader, parts, job)
    except UserError as mistake:
        if not isinstance(mistake, NotWritableError):  # another table will be asked about: these parts are of no use
            parts.discard()
        raise
    rows = parts.assemble()
    left_out = "".join(f", {count:,} left out ({reason})" for reason, count in reader.skipped.items())
    print(f"{job.output}: {rows:,} rows, {alarms:,} anomalies{left_out}.")
    return 0


def reader_of(job: Job, spec: DataSpec) -> TableReader:
    """What reads the table; the model's categories are text whatever they look like."""
    columns = spec.schema.columns if spec.schema else ()
    categorical = {column.name for column in columns if column.kind == "categorical"}
    as_text = frozenset(categorical | {spec.schema.entity or ""} if spec.schema else ())
    return TableReader(job.input, None, job.delimiter, job.encoding, as_text, job.bad_rows)


def digest(folder: Path) -> str:
    """SHA-256 (hex) of all of a model's files."""
    sha = hashlib.sha256()
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            sha.update(file.name.encode() + file.read_bytes())
    return sha.hexdigest()


def identity(table: Path) -> list[Any]:
    """What changes when a file does."""
    state = table.stat()
    return [str(table.resolve()), state.st_size, state.st_mtime_ns]


def answer_all(detector: Detector, reader: TableReader, parts: Parts, job: Job) -> int:
    """Makes the parts that are missing, and returns how many alarms all parts hold."""
    spec, first, alarms = detector.model.spec, 0, 0
    recent: pd.DataFrame | None = None
    with tqdm(unit=" rows", unit_scale=True, disable=None, desc="scored") as bar:
        for number, frame in enumerate(reader.pieces()):
            bar.total = bar.total or expected_rows(job.input, len(frame))
            known = frame if recent is None else pd.concat([recent, frame])
            if number not in parts:
                table = answer(detector, known, len(frame), first, job)
                parts.add(number, table)
            alarms += parts.count(number, "verdict", "anomaly")
            recent = last_rows(known, spec)
            first += len(frame)
            bar.update(len(frame))
    return alarms


def expected_rows(table: Path, first: int) -> int | None:
    """About how many rows a table has whose first piece has ``first``; None where it is compressed."""
    if table.name.endswith(PARQUET):
        return parquet.read_metadata(table).num_rows
    return None if table.suffix == ".gz" else int(first * max(1.0, table.stat().st_size / BLOCK))


def last_rows(frame: pd.DataFrame, spec: DataSpec) -> pd.DataFrame | None:
    """The rows of each series that a window of the next piece may still hold; None for a model of single rows."""
    if spec.schema is None or len(spec.shape) == 1:
        return None
    return frame.groupby(series_of(frame, spec.schema), sort=False).tail(spec.shape[0] - 1)


def answer(detector: Detector, frame: pd.DataFrame, rows: int, first: int, job: Job) -> pa.Table:
    """What the detector says of the last ``rows`` rows of a frame; those before them begin their windows.

    Args:
        detector: judges.
        frame: rows in the user's own units.
        rows: how many are to be answered.
        first: the number of the first of them in the table.
        job: what was asked for.
    """
    asked = as_numbers(frame, detector.model.spec, job.input, first - (len(frame) - rows))
    said = verdicts(detector, asked, job.reasons).tail(rows)
    said.insert(0, "row", np.arange(first, first + rows))
    return pa.Table.from_pandas(said, schema=ANSWER, preserve_index=False)


def as_numbers(frame: pd.DataFrame, spec: DataSpec, path: Path, first: int) -> Frame:
    """The rows as the model takes them, and the windows over them if it looks at windows.

    Raises:
        UserError: naming the column, and the row where there is one.
    """
    if spec.schema is None:
        return Frame(plain(frame, spec, path, first), None)
    raw = spec.schema.encode(frame, str(path), first)
    if len(spec.shape) == 1:
        return Frame(raw, None)
    return Frame(raw, window_rows(torch.from_numpy(series_of(frame, spec.schema)), spec.shape[0]))


def series_of(frame: pd.DataFrame, schema: Schema) -> NDArray[np.int64]:
    """A number for the series that each row belongs to ``(N,)``; one for all where the table does not tell."""
    if schema.entity is None or schema.entity not in frame.columns:
        return np.zeros(len(frame), np.int64)
    return pd.factorize(frame[schema.entity])[0].astype(np.int64)


def plain(frame: pd.DataFrame, spec: DataSpec, path: Path, first: int = 0) -> Tensor:
    """The rows of a frame as samples of a model that knows no columns' names, such as one of images or strings."""
    if spec.tokenizer is not None:
        return strings(frame, spec.tokenizer, path, first)
    numeric = frame.select_dtypes("number")
    if numeric.shape[1] != spec.features or numeric.shape[1] < frame.shape[1]:
        raise UserError(
            f"{path} has {numeric.shape[1]} columns of numbers among {frame.shape[1]}, and the model takes "
            f"{spec.features}, in the order of its samples {list(spec.shape)}: give it these alone."
        )
    return torch.from_numpy(numeric.to_numpy(np.float32)).view(-1, *spec.shape)


def strings(frame: pd.DataFrame, tokenizer: Tokenizer, path: Path, first: int) -> Tensor:
    """The one column of a frame as ids of tokens."""
    if frame.shape[1] != 1:
        raise UserError(
            f"{path} has {frame.shape[1]} columns, and the model takes strings: give it one column of them."
        )
    try:
        return tokenizer.encode(frame.iloc[:, 0].tolist(), first)
    except UserError as mistake:
        raise UserError(f"{path}: {mistake}") from mistake
