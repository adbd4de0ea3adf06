"""The scored rows, kept in Parquet files that are there whole or not at all."""

import contextlib
import logging
import os
import threading
import time
from collections import deque
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as parquet

from lit_ae.errors import UserError
from lit_ae.schema import MISSING, UNSEEN, Schema
from pipelines.serving.bodies import Asked
from pipelines.serving.figures import Figures
from pipelines.serving.logs import say
from pipelines.serving.served import Served

KEPT_FILES = 10  # so many files' rows wait for a disk that can't be written, and the oldest are lost beyond
STAMP = pa.timestamp("us", tz="UTC")


class Scored(NamedTuple):
    """An answered request: when, who, what was asked, and the frame of verdicts."""

    time: datetime
    request_id: str
    served: Served
    asked: Asked
    verdicts: pd.DataFrame


class RowLog:
    """Writes a file for every so many rows, and after so many seconds at the latest, in a thread of its own.

    Columns: ``time`` (UTC, of the request), ``request_id``, ``model_version``, ``row`` (its number in the request, from
    0), ``score``, ``p_value``, ``verdict``, ``reasons``, and every column of the input as ``input.<name>``;
    ``input.values`` (a list) for models of tensors, ``input.text`` for models of strings.

    A disk that can't be written costs rows of the log, never an answer: they are kept for a while, and then counted as
    lost.

    Args:
        folder: is made if need be.
        rows: of a file.
        seconds: that a row waits, at most.
        figures: what is counted.

    Raises:
        UserError: the folder can't be written.
    """

    def __init__(self, folder: Path, rows: int, seconds: float, figures: Figures):
        self.folder, self._rows, self._seconds, self._figures = folder.absolute(), rows, seconds, figures
        self._pending, self._pending_rows = deque[Scored](), 0
        self._news, self._writing, self._ended = threading.Condition(), threading.Lock(), False
        self._numbers = count()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            probe = folder / f".{os.getpid()}.probe"
            probe.write_bytes(b"")
            probe.unlink()
        except OSError as error:
            raise UserError(f"--log {folder} can't be written ({error.strerror}): name another folder.") from error
        self._thread = threading.Thread(target=self._write_on, name="row-log", daemon=True)
        self._thread.start()

    def add(self, scored: Scored) -> None:
        """Takes the rows of an answered request; costs no time."""
        with self._news:
            self._pending.append(scored)
            self._pending_rows += len(scored.verdicts)
            while self._pending_rows > KEPT_FILES * max(self._rows, len(scored.verdicts)):
                lost = len(self._pending.popleft().verdicts)
                self._pending_rows -= lost
                self._figures.lost.inc(lost)
            if self._pending_rows >= self._rows:
                self._news.notify()

    def close(self) -> None:
        """Writes what is left; rows that can't be written now are lost, and counted."""
        with self._news:
            self._ended = True
            self._news.notify()
        self._thread.join()
        if self._pending_rows:
            self._figures.lost.inc(self._pending_rows)
            say("Scored rows of the log are lost", logging.ERROR, rows=self._pending_rows)
            self._pending_rows = 0

    def _write_on(self) -> None:
        while not self._ended:
            with self._news:
                self._news.wait_for(lambda: self._ended or self._pending_rows >= self._rows, self._seconds)
            self._flush()
            if self._pending_rows >= self._rows and not self._ended:
                time.sleep(min(1.0, self._seconds))  # the disk was full: not again at once
        self._flush()

    def _flush(self) -> None:
        with self._news:
            taken = list(self._pending)
            self._pending.clear()
            self._pending_rows = 0
        while taken:
            some = _first_rows(taken, self._rows)
            try:
                self._write(some)
            except Exception as error:  # the log may be in trouble, the answers are not
                self._figures.log_failures.inc()
                say(
                    "The log of scored rows can't be written", logging.ERROR, folder=str(self.folder), reason=str(error)
                )
                with self._news:
                    self._pending.extendleft(reversed(taken))
                    self._pending_rows += sum(len(one.verdicts) for one in taken)
                return
            taken = taken[len(some) :]

    def _write(self, scored: list[Scored]) -> None:
        table = table_of(scored)
        name = f"{scored[0].time:%Y%m%dT%H%M%S%f}-{os.getpid()}-{next(self._numbers):06}.parquet"
        draft = self.folder / f".{name}.draft"
        try:
            parquet.write_table(table, draft)
            draft.replace(self.folder / name)
        except BaseException:
            with contextlib.suppress(OSError):
                draft.unlink(missing_ok=True)
            raise
        self._figures.logged.inc(len(table))


def _first_rows(scored: list[Scored], rows: int) -> list[Scored]:
    """The first of them until they have so many rows, at least one; all of one version."""
    some: list[Scored] = []
    found = 0
    for one in scored:
        if some and (found >= rows or one.served is not some[0].served):
            break
        some.append(one)
        found += len(one.verdicts)
    return some


def table_of(scored: list[Scored]) -> pa.Table:
    """The rows of answers of one version as the log holds them."""
    sizes = [len(one.verdicts) for one in scored]
    said = pd.concat([one.verdicts for one in scored], ignore_index=True)
    columns: dict[str, pa.Array] = {
        "time": pa.array([one.time for one in scored], STAMP).take(_spread(sizes)),
        "request_id": pa.array([one.request_id for one in scored], pa.string()).take(_spread(sizes)),
        "model_version": pa.array([one.served.version for one in scored], pa.string()).take(_spread(sizes)),
        "row": pa.array(np.concatenate([np.arange(size) for size in sizes]), pa.int64()),
        "score": pa.array(said["score"], pa.float64(), from_pandas=True),
        "p_value": pa.array(said["p_value"], pa.float64(), from_pandas=True),
        "verdict": pa.array(said["verdict"], pa.string()),
        "reasons": pa.array(said["reasons"], pa.string()),
    }
    inputs = _inputs(scored)
    return pa.table({**columns, **{f"input.{name}": values for name, values in inputs.items()}})


def _spread(sizes: list[int]) -> pa.Array:
    return pa.array(np.repeat(np.arange(len(sizes)), sizes))


def _inputs(scored: list[Scored]) -> dict[str, pa.Array]:
    spec = scored[0].served.spec
    if spec.schema is not None:
        return _columns(scored, spec.schema)
    if spec.tokenizer is not None:
        texts = [str(text) for one in scored for text in np.asarray(one.asked.rows, dtype=object).ravel()]
        return {"text": pa.array(texts, pa.string())}
    raw = np.concatenate([one.asked.question.asked.raw.flatten(1).numpy() for one in scored])
    return {"values": pa.array(list(raw), pa.list_(pa.float32()))}


def _columns(scored: list[Scored], schema: Schema) -> dict[str, pa.Array]:
    """The columns as the model has read them, and values that training has not seen as the user wrote them."""
    raw = np.concatenate([one.asked.question.asked.raw.numpy() for one in scored])
    columns: dict[str, Any] = {}
    for at, column in enumerate(schema.columns):
        if column.bins:
            values = np.array([*column.categories, UNSEEN], dtype=object)[raw[:, at].astype(int)]
            if (unseen := raw[:, at] == len(column.categories)).any():
                written = pd.concat([one.asked.rows[column.name] for one in scored], ignore_index=True)
                values[unseen] = written.astype("string").to_numpy(dtype=object, na_value=None)[unseen]
            values[values == MISSING] = None
            columns[column.name] = pa.array(values, pa.string())
        else:
            columns[column.name] = pa.array(raw[:, at], pa.float64(), from_pandas=True)
    if schema.entity is not None and all(schema.entity in one.asked.rows for one in scored):
        series = pd.concat([one.asked.rows[schema.entity] for one in scored], ignore_index=True)
        columns[schema.entity] = pa.array(series.astype("string").to_numpy(dtype=object, na_value=None), pa.string())
    return columns
