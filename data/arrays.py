"""Your own arrays."""

from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from data.labelled import Labelled, LabelledData
from data.learned_schema import Moments
from lit_ae.errors import UserError
from lit_ae.preprocessing import Preprocessing, Rescale, Tabular
from lit_ae.spec import DataSpec

ArrayKind = Literal["image", "table", "series"]
DIMENSIONS = {"table": 2, "series": 3, "image": 4}


class Arrays(LabelledData):
    """A NumPy file (``.npy``) of samples of your own: rows, windows or images.

    Rows ``(N, D)`` and windows ``(N, T, D)`` are standardised feature by feature, images ``(N, C, H, W)`` are brought
    to the range from 0 to 1; both by the training samples alone.

    Args:
        path: the samples; the file may hold no pickled objects.
        labels: a file of their classes ``(N,)``, whole numbers or text.
        kind: ``table``, ``series`` or ``image``; by default told from the number of dimensions.
        log: put numbers on the scale sign(v)·log(1 + |v|) before they are standardised; not for images.
        **loading: what your own samples take, see :class:`data.labelled.LabelledData`.

    Raises:
        UserError: if a value makes no sense.
    """

    def __init__(
        self, path: str, labels: str | None = None, kind: ArrayKind | None = None, log: bool = False, **loading: Any
    ):
        super().__init__(**loading)
        if kind is not None and kind not in get_args(ArrayKind):
            raise UserError(f"data.kind is {kind!r}, but it must be one of {', '.join(get_args(ArrayKind))}.")
        self.path, self.labels = Path(path).expanduser(), Path(labels).expanduser() if labels else None
        self._kind, self.log = kind, log

    @property
    def kind(self) -> str:
        """What a sample is."""
        found = {dimensions: kind for kind, dimensions in DIMENSIONS.items()}.get(self._array.ndim)
        wanted = self._kind or found
        if wanted is None or DIMENSIONS[wanted] != self._array.ndim:
            raise UserError(
                f"{self.path} has the shape {list(self._array.shape)}, but it must be (N, D) for a table, (N, T, D) "
                "for series, or (N, C, H, W) for images."
            )
        return wanted

    @cached_property
    def preprocessing(self) -> Preprocessing:
        """Learned from the training samples."""
        raw = self.rows["fit"].raw
        if self.kind == "image":
            low, high = float(raw.min()), float(raw.max())
            return Rescale(low, high if high > low else low + 1.0)
        moments = [Moments() for _ in range(raw.shape[-1])]
        values = raw.double().flatten(0, -2).numpy()
        values = np.sign(values) * np.log1p(np.abs(values)) if self.log else values
        for one, column in zip(moments, values.T, strict=True):
            one.update(column)
        return Tabular([0] * len(moments), [m.mean for m in moments], [m.deviation for m in moments], self.log)

    @property
    def spec(self) -> DataSpec:
        """Samples of the file's own shape. Reads the training samples."""
        shape, kind = self._array.shape[1:], self.kind
        value_range = (0.0, 1.0) if kind == "image" else None
        return DataSpec("Arrays", kind, shape, self.preprocessing, value_range, classes=self._classes[1])  # type: ignore[arg-type]

    def read(self) -> Labelled:
        """Reads the samples: raw ``(N, *shape)``, of the file's own type of number."""
        kind, values = self.kind, self._array
        if not len(values):
            raise UserError(f"{self.path} holds no {kind} at all: give it some.")
        bad = ~np.isfinite(values.reshape(len(values), -1)).all(1)
        if bad.any():
            raise UserError(
                f"{self.path}, row {int(bad.argmax())} holds NaN or an infinite number, and so do {int(bad.sum())} in "
                "all: mend them, or leave them out."
            )
        y, classes = self._classes
        return Labelled(torch.from_numpy(values), None if y is None else torch.from_numpy(y), classes)

    @cached_property
    def _array(self) -> NDArray[Any]:
        values = _read(self.path)
        if values.dtype.kind not in "iufb":
            raise UserError(f"{self.path} holds {values.dtype}, not numbers: write it as numbers.")
        if values.dtype.kind != "u" or values.dtype.itemsize > 1:
            values = values.astype(np.float32 if values.dtype.itemsize <= 4 else np.float64)
        return values

    @cached_property
    def _classes(self) -> tuple[NDArray[np.int64] | None, tuple[str, ...]]:
        if self.labels is None:
            return None, ()
        labels = _read(self.labels)
        if labels.shape != (len(self._array),):
            raise UserError(
                f"{self.labels} has the shape {list(labels.shape)}, but it must hold one label for each of the "
                f"{len(self._array)} samples."
            )
        classes, y = np.unique(labels.astype(str), return_inverse=True)
        return y.astype(np.int64), tuple(classes.tolist())


def _read(path: Path) -> NDArray[Any]:
    """The array in a file.

    Raises:
        UserError: if it is not there, no array, or holds pickled objects, which are never loaded.
    """
    try:
        values = np.load(path, allow_pickle=False)
    except FileNotFoundError as error:
        raise UserError(f"{path} is not there: say by data.path where the array is.") from error
    except Exception as error:  # a damaged header fails in a dozen ways
        raise UserError(
            f"{path} holds no array that can be read: write it by numpy.save, as numbers and without pickled objects."
        ) from error
    if not isinstance(values, np.ndarray):
        raise UserError(f"{path} holds several arrays: write the one that is meant by numpy.save.")
    return values
