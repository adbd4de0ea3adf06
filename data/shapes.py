"""Made-up images whose factors of variation are known."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from data.grey_images import GreyImages
from data.roles import Role, Rows

TUNE_ROWS, TEST_ROWS = 1296, 2592
FINENESS = 4  # points a pixel in each direction: a grey level is the share of them that the shape covers


class Shapes(GreyImages):
    """12,960 synthetic images of 16x16 pixels, grey 0..255: a white square, ellipse or triangle on black.

    Every combination of five independent factors comes once, after dSprites (Matthey et al. 2017): 3 shapes, 5 sizes,
    6 orientations and 12 x 12 positions, no two of which look the same. The class is the shape. The split into 9,072
    training, 1,296 tuning and 2,592 test rows is drawn once and always the same. Nothing is read or downloaded.
    """

    side, white, classes, synthetic = 16, 255.0, ("square", "ellipse", "triangle"), True

    @property
    def factors(self) -> Mapping[str, tuple[float, ...] | tuple[str, ...]]:
        """Shape; size (radius of the circle around it, pixels); orientation (degrees); x and y of the centre (pixels).

        All shapes fit the image, and below 90 degrees none is turned into itself.
        """
        places = tuple(torch.linspace(4.5, 11.5, 12).tolist())
        return {
            "shape": self.classes,
            "size": (2.0, 2.5, 3.0, 3.5, 4.0),
            "orientation": (0.0, 15.0, 30.0, 45.0, 60.0, 75.0),
            "x": places,
            "y": places,
        }

    def read(self) -> dict[Role, Rows]:
        """Draws the images: raw ``(N, 1, 16, 16)`` of type uint8."""
        factors = torch.cartesian_prod(*(torch.arange(len(values)) for values in self.factors.values()))
        factors = factors[torch.randperm(len(factors), generator=torch.Generator().manual_seed(0))]
        raw = torch.cat([self._drawn(some) for some in factors.split(1000)])
        sizes = [len(factors) - TUNE_ROWS - TEST_ROWS, TUNE_ROWS, TEST_ROWS]
        fit, tune, test = zip(
            raw.split(sizes), factors[:, 0].contiguous().split(sizes), factors.split(sizes), strict=True
        )
        roles: tuple[Role, ...] = ("fit", "tune", "test")
        return {role: Rows(x, y, factors=f) for role, (x, y, f) in zip(roles, (fit, tune, test), strict=True)}

    def _drawn(self, factors: Tensor) -> Tensor:
        """The images ``(N, 1, side, side)``, uint8, for places in the lists of values ``(N, 5)``."""
        shape, *others = factors.T[:, :, None]
        scales = [torch.tensor(values, dtype=torch.float64) for values in list(self.factors.values())[1:]]
        size, angle, x, y = (values[which] for values, which in zip(scales, others, strict=True))
        points = (torch.arange(self.side * FINENESS, dtype=torch.float64) + 0.5) / FINENESS
        rows, columns = torch.cartesian_prod(points, points).T
        down, right, cos, sin = rows - y, columns - x, angle.deg2rad().cos(), angle.deg2rad().sin()
        u, v = (cos * right + sin * down) / size, (cos * down - sin * right) / size
        covered = torch.stack([square(u, v), ellipse(u, v), triangle(u, v)])[shape.flatten(), range(len(shape))]
        fine = covered.float().view(-1, 1, self.side * FINENESS, self.side * FINENESS)
        return (avg_pool2d(fine, FINENESS) * self.white).round().to(torch.uint8)


def square(u: Tensor, v: Tensor) -> Tensor:
    """Whether points of the plane lie in the square within the unit circle: bool, of the coordinates' shape."""
    return torch.maximum(u.abs(), v.abs()) <= math.sqrt(0.5)


def ellipse(u: Tensor, v: Tensor) -> Tensor:
    """The same for the ellipse, twice as wide as high."""
    return u.square() + (2 * v).square() <= 1


def triangle(u: Tensor, v: Tensor) -> Tensor:
    """The same for the triangle of equal sides; v points down, its tip up."""
    return (v <= 0.5) & (math.sqrt(3) * u.abs() - v <= 1)
