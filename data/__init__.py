"""What autoencoders learn from: one file a data set, and the loading they share."""

from data.arrays import Arrays
from data.base import LitData
from data.digits import Digits
from data.images import Images
from data.mnist import MNIST
from data.network_traffic import NetworkTraffic
from data.sensors import Sensors
from data.series import Series
from data.shapes import Shapes
from data.table import Table

__all__ = ["MNIST", "Arrays", "Digits", "Images", "LitData", "NetworkTraffic", "Sensors", "Series", "Shapes", "Table"]
