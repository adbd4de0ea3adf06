"""What autoencoders learn from: one file a data set, and the loading they share."""

from data.base import LitData
from data.digits import Digits
from data.mnist import MNIST
from data.network_traffic import NetworkTraffic
from data.table import Table

__all__ = ["MNIST", "Digits", "LitData", "NetworkTraffic", "Table"]
