"""What the model takes and gives, in the words of OpenAPI."""

from typing import Any

import numpy as np
import pandas as pd
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from lit_ae.schema import Column
from lit_ae.spec import DataSpec
from pipelines.serving.answers import plain
from pipelines.serving.bodies import CSV, JSON, PARQUET
from pipelines.serving.served import Served

MLFLOW = "As `mlflow models serve` takes it: dataframe_split, dataframe_records, inputs or instances, and params."
ERROR = {
    "type": "object",
    "properties": {"error": {"type": "string"}, "request_id": {"type": "string"}},
    "example": {"error": "The input, row 0, column 'size': 'x' is no number.", "request_id": "5f0c"},
}
WHY = {
    "400": "Columns, shapes or types are wrong: what is, in a sentence",
    "401": "The API key is missing or wrong",
    "413": "More rows or bytes than the server takes at once",
    "415": "A content type that the model can't be asked by",
    "503": "It took too long, too much is under way, or the server stops: try again after Retry-After",
}
VERDICT = {
    "type": "object",
    "properties": {
        "score": {"type": ["number", "null"], "description": "higher is worse; null where the row is not scored"},
        "p_value": {"type": ["number", "null"], "description": "the share of normal rows that score as high"},
        "verdict": {"type": "string", "enum": ["anomaly", "normal", "not scored"]},
        "reasons": {"type": "string", "description": "of an anomaly: what stands out, and what was expected"},
    },
}


def describe(app: FastAPI, served: Served, with_key: bool) -> dict[str, Any]:
    """The OpenAPI document of the server while this version answers."""
    document = get_openapi(
        title=f"{served.name}, version {served.version}", version=served.version, routes=app.routes,
        description=f"{type(served.scorer.model).__name__} of {served.spec.name}, served by lit-ae.",
    )  # fmt: skip
    rows = served.shown
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    schemas |= {"Row": row_of(served.spec), "Verdict": VERDICT, "Error": ERROR}
    score, invocations = (document["paths"][path]["post"] for path in ("/score", "/invocations"))
    score["requestBody"] = {"required": True, "content": bodies(served.spec, rows)}
    score["responses"] = {"200": _response("The answer to each row, in order", answer_of(served)), **_errors()}
    asked = (
        {"dataframe_split": rows.to_dict("split")} if isinstance(rows, pd.DataFrame) else {"inputs": example_of(rows)}
    )
    content = {JSON: {"schema": {"type": "object", "description": MLFLOW}, "example": _without_index(asked)}}
    invocations["requestBody"] = {"required": True, "content": content}
    predictions = {"type": "object", "properties": {"predictions": {"type": "array"}}}
    invocations["responses"] = {"200": _response("As MLflow's server answers", predictions), **_errors()}
    if with_key:
        document["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
        document["security"] = [{"key": []}]
    return document


def row_of(spec: DataSpec) -> dict[str, Any]:
    """The schema of one row."""
    if spec.schema is not None:
        properties = {column.name: _property(column) for column in spec.schema.columns}
        if len(spec.shape) > 1 and spec.schema.entity:
            properties[spec.schema.entity] = {"type": ["string", "number"], "description": "which series the row is of"}
        return {"type": "object", "required": spec.schema.names, "properties": properties}
    if spec.tokenizer is not None:
        return {"type": "string"}
    nested: dict[str, Any] = {"type": "number"}
    for size in reversed(spec.shape):
        nested = {"type": "array", "items": nested, "minItems": size, "maxItems": size}
    return nested


def _property(column: Column) -> dict[str, Any]:
    if column.kind == "numeric":
        return {"type": ["number", "null"], "description": f"training values: {column.values}"}
    return {"type": ["string", "number", "boolean", "null"], "description": f"training values: {column.values}"}


def bodies(spec: DataSpec, rows: Any) -> dict[str, Any]:
    """The schema and an example of each form that a request may have."""
    row = {"$ref": "#/components/schemas/Row"}
    listed = {"type": "array", "items": row}
    forms = [listed, {"type": "object", "required": ["records"], "properties": {"records": listed}}]
    if spec.schema is None:
        return {JSON: {"schema": {"oneOf": forms}, "example": {"records": example_of(rows)}}}
    names, table = {"type": "array", "items": {"type": "string"}}, {"type": "array", "items": {"type": "array"}}
    split = {"type": "object", "required": ["columns", "data"], "properties": {"columns": names, "data": table}}
    return {
        JSON: {"schema": {"oneOf": [*forms, split]}, "example": {"records": example_of(rows)}},
        CSV: {"schema": {"type": "string"}, "example": rows.to_csv(index=False)},
        PARQUET: {"schema": {"type": "string", "format": "binary"}},
    }


def example_of(rows: Any) -> list[Any]:
    """Rows as JSON values."""
    return plain(rows if isinstance(rows, pd.DataFrame) else np.asarray(rows))


def answer_of(served: Served) -> dict[str, Any]:
    """The schema of an answer; the rows are verdicts unless another output is asked for."""
    row = {"$ref": "#/components/schemas/Verdict"} if served.output == "verdict" else {}
    properties = {"model_version": {"type": "string"}, "output": {"type": "string"}}
    return {"type": "object", "properties": {**properties, "rows": {"type": "array", "items": row}}}


def _without_index(asked: dict[str, Any]) -> dict[str, Any]:
    split = asked.get("dataframe_split", {})
    return {"dataframe_split": {key: split[key] for key in ("columns", "data")}} if split else asked


def _errors() -> dict[str, Any]:
    error = {"$ref": "#/components/schemas/Error"}
    return {status: _response(why, error) for status, why in WHY.items()}


def _response(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {JSON: {"schema": schema}}}
