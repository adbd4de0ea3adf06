"""How each kind of record reaches MLflow: one function a kind, which may be called again for the same record."""

import json
import tempfile
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import requests
from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, LoggedModel, LoggedModelOutput, Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from mlflow.models import Model
from mlflow.utils.mlflow_tags import MLFLOW_DATASET_CONTEXT

from pipelines.outbox import METRICS_PER_REQUEST, Record

PARAMS_PER_REQUEST = 100
LONGEST_PARAM = 6000
LONGEST_TAG = 8000
LONGEST_DIGEST = 36
RECORD_TAG = "lit_ae.record"
MAY_PASS = {401, 403, 404, 407, 408, 409, 423, 425, 429, 499}  # answers that another try may find changed


class Delivery:
    """Sends the records of one run to its tracking server.

    Args:
        client: a client of that server.
        run_id: the run.
    """

    def __init__(self, client: MlflowClient, run_id: str):
        self.client, self.run_id = client, run_id
        self._senders: dict[str, Callable[[dict[str, Any]], None]] = {
            "params": self._params,
            "tags": self._tags,
            "file": self._file,
            "image": self._image,
            "dataset": self._dataset,
            "model": self._model,
            "status": self._status,
        }

    def deliver(self, records: list[Record]) -> list[str]:
        """Send the records; says, a line each, what the server refused for good, and raises what may pass.

        Where one value of many is refused, the others are sent without it.
        """
        try:
            self._send(records)
            return []
        except Exception as error:
            if not is_refusal(error):
                raise
            self.check_run()
            parts = _split(records)
            if len(parts) == 1:
                return [f"{_name(records[0])}: {summary(error)}"]
            return [line for part in parts for line in self.deliver(part)]

    def check_run(self) -> None:
        """Raises where the server doesn't answer, or where the run is unknown or deleted."""
        if self.client.get_run(self.run_id).info.lifecycle_stage != "active":
            raise MlflowException(f"run {self.run_id} was deleted")

    def _send(self, records: list[Record]) -> None:
        if records[0].content["kind"] == "metrics":
            self._metrics([record.content for record in records])
        else:
            (record,) = records
            self._senders[record.content["kind"]](record.content)

    def _metrics(self, contents: list[dict[str, Any]]) -> None:
        metrics = (Metric(k, v, c["time"], c["step"]) for c in contents for k, v in c["values"].items())
        for chunk in _chunks(metrics, METRICS_PER_REQUEST):
            self.client.log_batch(self.run_id, metrics=chunk, synchronous=True)

    def _params(self, content: dict[str, Any]) -> None:
        params = (Param(k, _cut(v, LONGEST_PARAM)) for k, v in content["values"].items())
        for chunk in _chunks(params, PARAMS_PER_REQUEST):
            self.client.log_batch(self.run_id, params=chunk, synchronous=True)

    def _tags(self, content: dict[str, Any]) -> None:
        tags = (RunTag(k, _cut(v, LONGEST_TAG)) for k, v in content["values"].items())
        for chunk in _chunks(tags, PARAMS_PER_REQUEST):
            self.client.log_batch(self.run_id, tags=chunk, synchronous=True)

    def _file(self, content: dict[str, Any]) -> None:
        path, folder = Path(content["path"]), content["folder"] or None
        if path.is_dir():
            self.client.log_artifacts(self.run_id, str(path), folder)
        else:
            self.client.log_artifact(self.run_id, str(path), folder)

    def _image(self, content: dict[str, Any]) -> None:
        from PIL import Image

        key, step, time = content["key"], content["step"], content["time"]
        start = f"images/{key.replace('/', '~')}+step+{step}+timestamp+{time}+"
        there = [file.path for file in self.client.list_artifacts(self.run_id, "images") if file.path.startswith(start)]
        if not any("+compressed" in path for path in there):
            with Image.open(content["path"]) as image:
                self.client.log_image(self.run_id, image, key=key, step=step, timestamp=time, synchronous=True)

    def _dataset(self, content: dict[str, Any]) -> None:
        inputs = []
        for context, rows in content["sizes"].items():
            dataset = Dataset(
                name=content["name"],
                digest=content["digest"][: LONGEST_DIGEST - len(context) - 1] + f"-{context}",
                profile=json.dumps({"num_rows": rows, "digest": content["digest"]}),
                schema=content["schema"] and json.dumps(content["schema"]),
                **_source(content["source"]),
            )
            inputs.append(DatasetInput(dataset, [InputTag(MLFLOW_DATASET_CONTEXT, context)]))
        self.client.log_inputs(self.run_id, inputs)

    def _status(self, content: dict[str, Any]) -> None:
        if content["status"] == "RUNNING":
            self.client.update_run(self.run_id, status="RUNNING")
        else:
            self.client.set_terminated(self.run_id, content["status"], end_time=content["time"])

    def _model(self, content: dict[str, Any]) -> None:
        model = self._logged_model(content)
        directory = Path(content["path"])
        self.client.log_model_artifacts(model.model_id, str(directory))
        with tempfile.TemporaryDirectory() as folder:
            described = Model.load(str(directory))
            described.model_id = described.model_uuid = model.model_id
            described.run_id, described.artifact_path = self.run_id, model.artifact_location
            described.save(str(Path(folder) / "MLmodel"))
            self.client.log_model_artifacts(model.model_id, folder)
        self.client.finalize_logged_model(model.model_id, "READY")
        outputs = self.client.get_run(self.run_id).outputs
        if model.model_id not in {output.model_id for output in (outputs.model_outputs if outputs else [])}:
            self.client.log_outputs(self.run_id, [LoggedModelOutput(model.model_id, step=content["step"])])
        self._model_metrics(model, content)

    def _logged_model(self, content: dict[str, Any]) -> LoggedModel:
        """The model that an earlier try made for this record, or a new one."""
        run = self.client.get_run(self.run_id)
        name, record = content["name"], content["record"]
        query = f"name = '{name}' AND tags.`{RECORD_TAG}` = '{record}'"
        found = self.client.search_logged_models([run.info.experiment_id], filter_string=query)
        if found:
            return found[0]
        return self.client.create_logged_model(
            run.info.experiment_id, name, self.run_id, tags={RECORD_TAG: record}, params=run.data.params
        )

    def _model_metrics(self, model: LoggedModel, content: dict[str, Any]) -> None:
        """Give the model the run's latest metrics whose names start with the prefix asked for."""
        prefix = content["metrics"]
        names = self.client.get_run(self.run_id).data.metrics if prefix else {}
        latest = (self._latest(name) for name in names if name.startswith(prefix))
        metrics = (Metric(m.key, m.value, m.timestamp, m.step, model_id=model.model_id) for m in latest)
        for chunk in _chunks(metrics, METRICS_PER_REQUEST):
            self.client.log_batch(self.run_id, metrics=chunk, synchronous=True)

    def _latest(self, name: str) -> Metric:
        return max(
            self.client.get_metric_history(self.run_id, name), key=lambda metric: (metric.step, metric.timestamp)
        )


def is_refusal(error: Exception) -> bool:
    """Whether the same request would be answered in the same way for ever."""
    if isinstance(error, MlflowException):
        return _is_final(error.get_http_status_code()) or error.error_code == "RESOURCE_DOES_NOT_EXIST"
    if isinstance(error, requests.RequestException):
        return error.response is not None and _is_final(error.response.status_code)
    return isinstance(error, FileNotFoundError | ValueError | TypeError | LookupError)


def summary(error: Exception) -> str:
    """An error's first sentence or so, on one line."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 200 else text[:199] + "…"


def _is_final(http_status: int) -> bool:
    return 400 <= http_status < 500 and http_status not in MAY_PASS


def _split(records: list[Record]) -> list[list[Record]]:
    """Smaller parts of a batch: its records, or the single values of its one record."""
    if len(records) > 1:
        return [[record] for record in records]
    (record,) = records
    values = record.content.get("values", {})
    if len(values) < 2:
        return [records]
    return [[record._replace(content={**record.content, "values": {k: v}})] for k, v in values.items()]


def _name(record: Record) -> str:
    content = record.content
    values = ", ".join(f"{key}={_cut(str(value), 60)}" for key, value in content.get("values", {}).items())
    return f"{content['kind']} {values or content.get('path') or content.get('name') or content.get('status')}"


def _source(source: str) -> dict[str, str]:
    if source.startswith(("http://", "https://")):
        return {"source_type": "http", "source": json.dumps({"url": source})}
    if Path(source).is_absolute():
        return {"source_type": "local", "source": json.dumps({"uri": source})}
    return {"source_type": "code", "source": json.dumps({"tags": {"mlflow.source.name": source}})}


def _cut(value: str, length: int) -> str:
    return value if len(value) <= length else value[: length - 1] + "…"


def _chunks(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    items = iter(items)
    while chunk := list(islice(items, size)):
        yield chunk
