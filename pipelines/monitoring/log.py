"""The rows that a server has scored and kept in a folder of Parquet files."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as parquet
import torch
from torch import Tensor

from data.readers import PIECE
from lit_ae.detection.blocks import model_space
from lit_ae.detection.detector import Detector
from lit_ae.errors import UserError
from lit_ae.monitoring.profile import rows_of
from lit_ae.serving.frames import Frame
from pipelines.monitoring.columns import Columns
from pipelines.monitoring.intake import Taken, require_columns, said

INPUT = "input."  # what the names of input columns begin with
VALUES = f"{INPUT}values"  # the numbers of a sample of a model that knows no columns
NEEDED = ("model_version", "p_value", "verdict")


class LogIntake:
    """The rows of a log.

    Args:
        detector: of the model.
        folder: of the log.
        version: whose rows count; None where all must be of one.
    """

    def __init__(self, detector: Detector, folder: Path, version: str | None):
        self.detector, self.spec, self.folder, self.version = detector, detector.model.spec, folder, version
        self.columns = Columns(self.spec, str(folder))

    def pieces(self) -> Iterator[Taken]:
        """The rows in the order of the files' names.

        Raises:
            UserError: the log is empty, has other columns, or holds rows of several versions and none was named.
        """
        found: set[str] = set()
        rows = 0
        for frame in self._frames():
            require_columns(frame, NEEDED, self.folder, "it is no server's log")
            versions = frame["model_version"].astype(str)
            found |= set(versions)
            if self.version is None and len(found) > 1:
                known = ", ".join(sorted(found))
                raise UserError(f"{self.folder} holds rows of the versions {known}: name one by --model_version.")
            kept = frame if self.version is None else frame[versions == self.version]
            rows += len(kept)
            if len(kept):
                yield self._taken(kept)
        if not rows:
            known = ", ".join(sorted(found)) or "none"
            raise UserError(f"{self.folder} holds no row of version {self.version}, only of {known}: name one of them.")

    def _frames(self) -> Iterator[pd.DataFrame]:
        """Each file's rows, by pieces.

        Raises:
            UserError: there is no file, or one can't be read.
        """
        files = sorted(self.folder.glob("*.parquet"))
        if not files:
            raise UserError(f"{self.folder} holds no Parquet file: is it the folder that the server's --log names?")
        for file in files:
            try:
                with parquet.ParquetFile(file) as table:
                    for batch in table.iter_batches(PIECE, use_threads=False):
                        yield batch.to_pandas()
            except (pa.ArrowException, OSError) as error:
                reason = str(error).splitlines()[0]
                raise UserError(f"{file} can't be read ({reason}): move it out of the log.") from error

    def _taken(self, frame: pd.DataFrame) -> Taken:
        p_values, alarm = said(frame)
        times = pd.to_datetime(frame["time"]) if "time" in frame else None
        raw = self._raw(frame)
        if raw is None:
            return Taken(p_values, alarm, None, None, times)
        is_window = self.spec.schema is not None and len(self.spec.shape) > 1
        codes = None
        if not is_window and not self.columns.broken:  # a window's earlier rows may stand in another request
            preprocessing, encode = self.spec.preprocessing, self.detector.model.encode
            codes = Frame(raw, None).answer(lambda rows: encode(model_space(preprocessing, rows)).flatten(1))
        rows = raw.double().numpy() if self.spec.schema is not None else rows_of(raw, self.spec)
        return Taken(p_values, alarm, rows, codes, times)

    def _raw(self, frame: pd.DataFrame) -> Tensor | None:
        """The inputs as numbers; None where the log has none that features are counted of."""
        if self.spec.schema is not None:
            given = [name for name in frame.columns if str(name).startswith(INPUT)]
            return self.columns.encode(frame[given].rename(columns=lambda name: str(name).removeprefix(INPUT)))
        if VALUES not in frame.columns or self.spec.kind == "sequence":
            return None
        return torch.from_numpy(np.stack(list(frame[VALUES])).astype(np.float32)).view(-1, *self.spec.shape)
