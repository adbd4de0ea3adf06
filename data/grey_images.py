"""Square grey images, and the three ways to make them black and white."""

from abc import abstractmethod
from typing import Any, ClassVar, get_args

from data.base import LitData, Role, Rows
from data.roles import one_class
from lit_ae.errors import UserError
from lit_ae.preprocessing import Rescale
from lit_ae.spec import Binarize, DataSpec


class GreyImages(LitData):
    """Base of data sets of square grey images. A subclass gives their size, what white is, the classes, and the rows.

    Args:
        binarize: "none" keeps the grey levels, "dynamic" draws 0 or 1 with the grey level's probability (anew in every
            epoch of training, once for evaluation), "threshold" makes 1 of a grey level of half or more.
        symmetric: black is -1 and white is 1, in place of 0 and 1.
        normal: the classes that are normal, for anomaly detection: training, tuning and calibration (every other row of
            those for tuning) see these alone, the test split holds all, the other classes as anomalies. None for no
            such notion.
        **loading: what every data set takes, see :class:`data.base.LitData`.

    Raises:
        UserError: if a value makes no sense.
    """

    side: ClassVar[int]
    white: ClassVar[float]
    classes: ClassVar[tuple[str, ...]]
    synthetic: ClassVar[bool] = False

    def __init__(
        self,
        binarize: Binarize = "none",
        symmetric: bool = False,
        normal: list[int] | None = None,
        **loading: Any,
    ):
        super().__init__(**loading)
        if binarize not in get_args(Binarize):
            raise UserError(f"data.binarize is {binarize!r}, but it must be one of {', '.join(get_args(Binarize))}.")
        if binarize == "dynamic" and symmetric:
            raise UserError(
                "data.binarize dynamic draws with the grey level's probability: set data.symmetric to false."
            )
        if normal is not None and not set(range(len(self.classes))) > set(normal) > set():
            raise UserError(
                f"data.normal is {normal}, but it must name some of the classes 0 to {len(self.classes) - 1}, not all."
            )
        self.binarize, self.symmetric, self.normal = binarize, symmetric, normal
        if normal is not None:
            self.families = self.classes

    @property
    def spec(self) -> DataSpec:
        """Images ``(1, side, side)``; 0 (or -1) is black and 1 is white."""
        threshold, lowest = 0.5 if self.binarize == "threshold" else None, -1.0 if self.symmetric else 0.0
        return DataSpec(
            name=type(self).__name__,
            kind="image",
            shape=(1, self.side, self.side),
            preprocessing=Rescale(0.0, self.white, threshold, lowest),
            value_range=(lowest, 1.0),
            binarize=self.binarize,
            classes=self.classes,
            synthetic=self.synthetic,
        )

    @abstractmethod
    def read(self) -> dict[Role, Rows]:
        """The labelled rows of fit, tune and test.

        Raises:
            UserError: if a file is missing or damaged.
        """

    def load(self) -> dict[Role, Rows]:
        """What is read; or by :attr:`normal` in four roles."""
        return self.read() if self.normal is None else one_class(self.read(), self.normal)
