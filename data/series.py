"""Your own time series."""

from typing import Any

from data.table import Table
from data.windows import Windows


class Series(Windows, Table):
    """A table with a time column, as windows over the rows of each entity.

    Args:
        path: a CSV or Parquet file, or a folder of such with the same columns; see :class:`data.table.Table`.
        time_column: says when a row was taken; rows are put in its order.
        **loading: what windows and tables take, see :class:`data.windows.Windows` and :class:`data.table.Table`.

    Raises:
        UserError: if a value makes no sense.
    """

    def __init__(self, path: str, time_column: str, **loading: Any):
        super().__init__(path=path, time_column=time_column, **loading)
