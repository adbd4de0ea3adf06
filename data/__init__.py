"""What autoencoders learn from: one file a data set, and the loading they share."""

from data.base import LitData
from data.digits import Digits
from data.mnist import MNIST
from data.network_traffic import NetworkTraffic
from data.sequences import Sequences
from data.shapes import Shapes
from data.smiles import SMILES
from data.table import Table

__all__ = ["MNIST", "SMILES", "Digits", "LitData", "NetworkTraffic", "Sequences", "Shapes", "Table"]
