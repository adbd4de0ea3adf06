"""Packing a trained model as one MLflow model."""

import shutil
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
from mlflow.models import ModelSignature
from mlflow.types import DataType, ParamSchema, ParamSpec, Schema, TensorSpec
from numpy.typing import NDArray

import lit_ae
from lit_ae.module import LitAutoencoder
from lit_ae.serving.files import save
from lit_ae.spec import DataSpec

REQUIREMENTS = ("mlflow", "torch", "lightning", "torchmetrics", "jsonargparse", "numpy", "safetensors")


def package(model: LitAutoencoder, example: NDArray[Any], directory: Path, metadata: dict[str, Any]) -> None:
    """Writes an MLflow model that loads with its own requirements and code alone.

    Args:
        model: the trained model.
        example: a few rows in the user's own units, ``(N, *spec.shape)``.
        directory: where to; whatever stood there is replaced.
        metadata: plain values kept in the MLmodel file.
    """
    shutil.rmtree(directory, ignore_errors=True)
    with tempfile.TemporaryDirectory() as scratch:
        save(model, Path(scratch) / "autoencoder")
        mlflow.pyfunc.save_model(
            path=directory,
            python_model=str(Path(__file__).with_name("scorer.py")),
            artifacts={"autoencoder": str(Path(scratch) / "autoencoder")},
            code_paths=[str(Path(lit_ae.__file__).parent)],
            signature=signature(model.spec),
            input_example=example.astype(np.float32),
            pip_requirements=requirements(),
            metadata=metadata,
        )


def signature(spec: DataSpec) -> ModelSignature:
    rows = TensorSpec(np.dtype(np.float32), (-1, *spec.shape))
    options = [ParamSpec("output", DataType.string, "reconstruction"), ParamSpec("seed", DataType.long, 0)]
    return ModelSignature(inputs=Schema([rows]), params=ParamSchema(options))


def requirements() -> list[str]:
    """What a served model needs, pinned to what is installed now."""
    extras = {"jsonargparse": "[signatures]"}
    return [f"{name}{extras.get(name, '')}=={version(name).split('+')[0]}" for name in REQUIREMENTS]
