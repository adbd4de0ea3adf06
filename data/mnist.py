"""The MNIST handwritten digits."""

import gzip
import math
import os.path
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from data.base import Role, Rows, require_at_least
from data.files import fetch, missing_files, read_checked
from data.grey_images import GreyImages
from lit_ae.errors import UserError

MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
PACKED = {
    "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
}
UNPACKED = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
UNSIGNED_BYTES = 8  # the type code of an IDX file


class MNIST(GreyImages):
    """70,000 handwritten digits of 28x28 pixels, grey 0..255.

    Reads the four canonical files, packed (.gz) or unpacked, in ``<root>/MNIST/raw``, and downloads what is missing.
    The last ``tune_rows`` of the training file are for tuning, the rest for training; the test file is the test split.
    Source: Y. LeCun, C. Cortes, C. Burges, The MNIST database of handwritten digits, 1998.

    Args:
        tune_rows: rows at the end of the training file that are kept for tuning.
        **loading: what all grey images take, see :class:`data.grey_images.GreyImages`.

    Raises:
        UserError: if a value makes no sense.
    """

    side, white, classes = 28, 255.0, tuple("0123456789")

    def __init__(self, tune_rows: int = 5000, **loading: Any):
        super().__init__(**loading)
        require_at_least("tune_rows", tune_rows, 2)
        self.tune_rows = tune_rows

    @property
    def folder(self) -> Path:
        """Where the files are."""
        return self.root / "MNIST" / "raw"

    def prepare_data(self) -> None:
        """Downloads the files that are missing.

        Raises:
            UserError: if a file is missing and cannot be had.
        """
        fetch(self._missing(), self.folder, MIRRORS)

    def read(self) -> dict[Role, Rows]:
        """Reads and checks the files: raw ``(N, 1, 28, 28)`` of type uint8.

        Raises:
            UserError: if a file is missing or damaged, or tune_rows leaves too few rows to train on.
        """
        if missing := self._missing():
            raise missing_files(missing, self.folder, "prepare_data() has not downloaded it yet")
        images, labels = self._read("train")
        fit_rows = len(images) - self.tune_rows
        if fit_rows < 2:
            raise UserError(f"data.tune_rows is {self.tune_rows}, but it must be {len(images) - 2} or less.")
        return {
            "fit": Rows(images[:fit_rows], labels[:fit_rows]),
            "tune": Rows(images[fit_rows:], labels[fit_rows:]),
            "test": Rows(*self._read("t10k")),
        }

    def _missing(self) -> dict[str, str]:
        return {
            name: sha256
            for name, sha256 in PACKED.items()
            if not any(os.path.exists(path) for path in (self.folder / name, (self.folder / name).with_suffix("")))
        }

    def _read(self, part: str) -> tuple[Tensor, Tensor]:
        images = parse_idx(self._content(f"{part}-images-idx3-ubyte"), f"{part}-images", dimensions=3)
        labels = parse_idx(self._content(f"{part}-labels-idx1-ubyte"), f"{part}-labels", dimensions=1)
        return images.unsqueeze(1), labels.long()

    def _content(self, name: str) -> bytes:
        path = self.folder / name
        if path.exists():
            return read_checked(path, UNPACKED[name])
        packed = path.with_name(f"{name}.gz")
        return gzip.decompress(read_checked(packed, PACKED[packed.name]))


def parse_idx(content: bytes, name: str, dimensions: int) -> Tensor:
    """An IDX file of unsigned bytes as a uint8 tensor of its own memory.

    Args:
        content: the unpacked file.
        name: the file's name, for the error.
        dimensions: how many the file must have.

    Raises:
        UserError: if the header is not that of such a file, or the size is not what the header says.
    """
    start = 4 + 4 * dimensions
    header = np.frombuffer(content[4:start].ljust(4 * dimensions, b"\0"), dtype=">u4")
    shape = tuple(int(size) for size in header)
    if content[:4] != bytes([0, 0, UNSIGNED_BYTES, dimensions]) or len(content) != start + math.prod(shape):
        raise UserError(
            f"{name} is no IDX file of {dimensions} dimension(s) in {len(content)} bytes: get it again from its source."
        )
    return torch.from_numpy(np.frombuffer(content, dtype=np.uint8, offset=start).reshape(shape).copy())
