"""Packing a trained model as one MLflow model."""

import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema, TensorSpec
from mlflow.types.schema import AnyType

import lit_ae
from lit_ae import schema as tables
from lit_ae.detection.detector import Detector
from lit_ae.module import LitAutoencoder
from lit_ae.monitoring.profile import Profile
from lit_ae.serving import scorer
from lit_ae.serving.files import save
from lit_ae.serving.integrity import seal_package
from lit_ae.spec import DataSpec

REQUIREMENTS = ("mlflow", "torch", "lightning", "torchmetrics", "jsonargparse", "numpy", "pandas", "safetensors")


def package(
    model: LitAutoencoder,
    example: Any,
    directory: Path,
    metadata: dict[str, Any],
    detector: Detector | None = None,
    profile: Profile | None = None,
) -> None:
    """Writes an MLflow model that loads with its own requirements and code alone.

    Args:
        model: the trained model.
        example: a few rows in the user's own units: ``(N, *spec.shape)``, or what the spec's codec takes.
        directory: where to; whatever stood there is replaced, once the new model is whole.
        metadata: plain values kept in the MLmodel file.
        detector: what makes verdicts of the model's scores; with one, a verdict is what comes back unasked.
        profile: what the model in use is watched by.
    """
    with _replacing(directory) as new, tempfile.TemporaryDirectory() as scratch, _without_remarks():
        save(model, Path(scratch) / "autoencoder", detector, profile)
        mlflow.pyfunc.save_model(
            path=new,
            loader_module=scorer.__name__,
            data_path=str(Path(scratch) / "autoencoder"),
            code_paths=[str(Path(lit_ae.__file__).parent)],
            signature=signature(model.spec, scorer.default_output(detector)),
            input_example=example.astype(np.float32) if model.spec.codec is None else example,
            pip_requirements=requirements(model.spec),
            metadata=metadata,
        )
        seal_package(new)


def signature(spec: DataSpec, output: str) -> ModelSignature:
    """The user's own units in; which output comes back is a parameter, so no one schema describes it."""
    rows: list[ColSpec | TensorSpec] = [TensorSpec(np.dtype(np.float32), (-1, *spec.shape))]
    if spec.schema:
        rows = _columns(spec.schema)
    elif spec.tokenizer:
        rows = [ColSpec(DataType.string)]
    defaults = {**{name: default for name, (_, default) in scorer.PARAMETERS.items()}, "output": output}
    options = [ParamSpec(name, DataType[kind], defaults[name]) for name, (kind, _) in scorer.PARAMETERS.items()]
    return ModelSignature(inputs=Schema(rows), params=ParamSchema(options))


def _columns(schema: tables.Schema) -> list[ColSpec | TensorSpec]:
    """The columns' names. MLflow checks none of them: the model itself refuses what is wrong, in a sentence."""
    names = [*schema.names, *([schema.entity] if schema.entity else [])]
    return [ColSpec(AnyType(), name, required=False) for name in names]


def requirements(spec: DataSpec) -> list[str]:
    """What a served model of such data needs, pinned to what is installed now."""
    names = [*REQUIREMENTS, *(spec.codec.requirements if spec.codec else ())]
    extras = {"jsonargparse": "[signatures]"}
    return [f"{name}{extras.get(name, '')}=={version(name).split('+')[0]}" for name in names]


@contextmanager
def _replacing(directory: Path) -> Iterator[Path]:
    """A path beside ``directory`` that takes its place when the block ends well, and is removed when it doesn't."""
    directory.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{directory.name}-", dir=directory.parent) as beside:
        yield Path(beside) / "new"
        if directory.exists():
            os.rename(directory, Path(beside) / "old")
        os.rename(Path(beside) / "new", directory)


@contextmanager
def _without_remarks() -> Iterator[None]:
    """Silences what MLflow says of its own steps; its warnings stay."""
    logger = logging.getLogger("mlflow")
    level = logger.level
    logger.setLevel(max(level, logging.WARNING))
    try:
        yield
    finally:
        logger.setLevel(level)
