"""From the bytes of a request to a question that the model can answer."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as parquet
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import PyFuncModel, scoring_server

from lit_ae.schema import Schema
from lit_ae.serving.scorer import Question
from pipelines.serving.refusals import Refused
from pipelines.serving.served import Served

JSON, CSV, PARQUET = "application/json", "text/csv", "application/vnd.apache.parquet"
FORMS = "a list of rows, an object with records, or one with columns and data"
EXPANSION = 20  # how many bytes a byte of Parquet may become


class Asked(NamedTuple):
    """A request, read.

    Attributes:
        rows: as the user wrote them.
        question: what the model is asked.
    """

    rows: Any
    question: Question


def read_score(body: bytes, served: Served, content_type: str, params: Mapping[str, Any], most_rows: int) -> Asked:
    """The question of ``POST /score``.

    Args:
        body: of the request.
        served: the model that will answer.
        content_type: the header.
        params: ``output`` and ``seed``.
        most_rows: that a request may have.

    Raises:
        Refused: it is none, or has too many rows.
    """
    kind = _kind_of(content_type)
    readers: dict[str, Callable[[bytes, Served, int], Any]] = {JSON: _json, CSV: _csv, PARQUET: _parquet}
    if kind not in readers:
        raise Refused(415, f"The content type {kind!r} is none of {', '.join(readers)}: send one of these.")
    rows = readers[kind](body, served, most_rows)
    return _asked(rows, served, params, most_rows)


def read_invocation(body: bytes, served: Served, content_type: str, most_rows: int) -> Asked:
    """The question of ``POST /invocations``: JSON is read by MLflow's own server, a table's CSV and Parquet as above.

    Raises:
        Refused: as MLflow's server would, in a sentence.
    """
    if _kind_of(content_type) in (CSV, PARQUET):
        return read_score(body, served, content_type, {}, most_rows)
    found: list[tuple[Any, dict[str, Any]]] = []

    class Reader:
        def predict(self, model_input: Any, params: dict[str, Any] | None = None) -> list[Any]:
            found.append((model_input, params or {}))
            return []

    reader = PyFuncModel(served.description, Reader())
    try:
        answer = scoring_server.invocations(body, content_type or JSON, reader, reader.metadata.get_input_schema())
    except MlflowException as error:
        raise Refused(error.get_http_status_code(), error.message.rpartition("\nError: ")[2]) from error
    if not found:
        raise Refused(answer.status, answer.response)
    rows, params = found[0]
    return _asked(rows, served, params, most_rows)


def _kind_of(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower() or JSON


def _asked(rows: Any, served: Served, params: Mapping[str, Any], most_rows: int) -> Asked:
    if len(rows) > most_rows:
        raise too_many(len(rows), most_rows)
    if not len(rows):
        raise Refused(400, "The request has no rows: send one or more.")
    try:
        return Asked(rows, served.scorer.read(rows, dict(params)))
    except MlflowException as mistake:
        raise Refused(400, mistake.message) from mistake


def too_many(rows: int, most_rows: int) -> Refused:
    return Refused(
        413, f"The request has {rows:,} rows, and the server takes {most_rows:,} at once: send them in parts."
    )


def _json(body: bytes, served: Served, most_rows: int) -> Any:
    try:
        content = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Refused(400, f"The body is no JSON ({error}): send {FORMS}.") from error
    spec = served.spec
    if isinstance(content, dict) and content.keys() >= {"columns", "data"}:
        if spec.codec is None:
            raise Refused(400, f"The model takes no columns: send a list of samples of shape {list(spec.shape)}.")
        return _split(content["columns"], content["data"])
    rows = content.get("records") if isinstance(content, dict) else content
    if not isinstance(rows, list):
        raise Refused(400, f"The body holds no rows: send {FORMS}.")
    if len(rows) > most_rows:
        raise too_many(len(rows), most_rows)
    if spec.schema is not None:
        return _records(rows, spec.schema)
    return _texts(rows) if spec.tokenizer else _numbers(rows)


def _split(columns: Any, data: Any) -> pd.DataFrame:
    if not isinstance(columns, list) or not all(isinstance(name, str) for name in columns):
        raise Refused(400, "columns must be a list of names.")
    if not isinstance(data, list) or not all(isinstance(row, list) and len(row) == len(columns) for row in data):
        raise Refused(400, f"data must be a list of rows, each a list of {len(columns)} values, one for each column.")
    return _frame(lambda: pd.DataFrame(data, columns=columns))


def _records(rows: list[Any], schema: Schema) -> pd.DataFrame:
    names = set(schema.names)
    for at, row in enumerate(rows):
        if not isinstance(row, dict):
            raise Refused(400, f"Row {at} is {_kind(row)}, and the model takes objects of column and value.")
        if lacking := names - row.keys():
            name = min(lacking, key=schema.names.index)
            raise Refused(400, f"Row {at} lacks the column '{name}': write null for a value that is missing.")
    return _frame(lambda: pd.DataFrame.from_records(rows))


def _frame(make: Callable[[], pd.DataFrame]) -> pd.DataFrame:
    try:
        return make()
    except (ValueError, TypeError, OverflowError) as error:
        raise Refused(400, f"The rows make no table: {error}.") from error


def _texts(rows: list[Any]) -> list[str]:
    for at, row in enumerate(rows):
        if not isinstance(row, str):
            raise Refused(400, f"Row {at} is {_kind(row)}, and the model takes strings.")
    return rows


def _numbers(rows: Sequence[Any]) -> np.ndarray:
    try:
        return np.array(rows, dtype=np.float32)
    except (ValueError, TypeError, OverflowError) as error:
        raise Refused(400, f"The rows are no array of numbers, all of one shape: {error}.") from error


def _kind(value: Any) -> str:
    kinds = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return kinds.get(type(value), "a number")


def _csv(body: bytes, served: Served, most_rows: int) -> Any:
    schema = _schema_of(served)
    types = {column.name: pa.string() if column.bins else pa.float64() for column in schema.columns}
    if schema.entity is not None:
        types[schema.entity] = pa.string()
    try:
        table = csv.read_csv(
            pa.BufferReader(body),
            csv.ReadOptions(use_threads=False, block_size=len(body) + 1),
            convert_options=csv.ConvertOptions(column_types=types, strings_can_be_null=True),
        )
        return table.to_pandas(use_threads=False)
    except (pa.ArrowException, ValueError) as error:
        raise Refused(400, f"The body is no CSV with a line of the columns' names: {_first_line(error)}.") from error


def _parquet(body: bytes, served: Served, most_rows: int) -> Any:
    schema = _schema_of(served)
    try:
        table = parquet.ParquetFile(pa.BufferReader(body))
        groups = [table.metadata.row_group(at) for at in range(table.num_row_groups)]
        if table.metadata.num_rows > most_rows:
            raise too_many(table.metadata.num_rows, most_rows)
        if sum(group.total_byte_size for group in groups) > EXPANSION * len(body):
            raise Refused(413, "The Parquet body would unfold to too many bytes: send it in parts, or as CSV.")
        known = {*schema.names, schema.entity}
        wanted = [name for name in table.schema_arrow.names if name in known]
        return table.read(columns=wanted, use_threads=False).to_pandas(use_threads=False)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise Refused(400, f"The body is no Parquet file: {_first_line(error)}.") from error


def _schema_of(served: Served) -> Schema:
    if served.spec.schema is None:
        raise Refused(415, f"The model takes no table: send {JSON}.")
    return served.spec.schema


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
