"""A small convolutional classifier of a data set's images, whose code is what images are compared by."""

import json
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from lit_ae.errors import UserError
from lit_ae.metrics.chunks import in_chunks
from lit_ae.metrics.labels import EncoderClassifier
from lit_ae.networks import Conv, Sizes
from lit_ae.spec import DataSpec
from lit_ae.weights import digest

FEATURES = 64


class FeatureNetwork(NamedTuple):
    """A trained classifier.

    Attributes:
        classifier: the network, ready to infer.
        spec: the data that it was trained on.
        accuracy: its test accuracy, 0 to 1.
    """

    classifier: EncoderClassifier
    spec: DataSpec
    accuracy: float

    def features(self, raw: Tensor) -> Tensor:
        """Of images ``(N, *spec.shape)`` in the user's own units, ``(N, 64)``."""
        encode = self.classifier.network.encode
        return in_chunks(lambda some: encode(self.spec.preprocessing.apply(some)), raw)

    @property
    def description(self) -> str:
        """What names it in a figure's protocol."""
        name, weights = self.spec.name, digest(self.classifier)[:12]
        return f"{FEATURES} features of the {name} classifier {weights}, whose test accuracy is {self.accuracy:.4f}"

    def save(self, folder: Path) -> Path:
        """Writes weights and description into ``folder``; the path of the weights."""
        weights, description = _files(folder, self.spec)
        folder.mkdir(parents=True, exist_ok=True)
        save_file({name: tensor.contiguous() for name, tensor in self.classifier.state_dict().items()}, weights)
        description.write_text(json.dumps({"spec": self.spec.to_dict(), "accuracy": self.accuracy}, indent=2) + "\n")
        return weights


def fresh_classifier(spec: DataSpec) -> EncoderClassifier:
    """The classifier before its training."""
    network = Conv(spec, Sizes(FEATURES), channels=[16, 32], activation="relu", normalization="batch")
    return EncoderClassifier(network, len(spec.classes))


def find_feature_network(spec: DataSpec, folder: Path) -> FeatureNetwork:
    """The one that was made for this data.

    Raises:
        UserError: there is none, saying which command makes it.
    """
    make = f"python -m pipelines.feature_network {spec.name} --folder {folder}"
    weights, description = _files(folder, spec)
    try:
        described = json.loads(description.read_text())
        made_for = DataSpec.from_dict(described["spec"])
        with torch.random.fork_rng(devices=[]):
            classifier = fresh_classifier(made_for)
        classifier.load_state_dict(load_file(weights))
    except FileNotFoundError as error:
        raise UserError(f"There is no feature network for {spec.name} in {folder}: make it by {make}") from error
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise UserError(f"The feature network {weights} can't be read: make it again by {make}") from error
    return FeatureNetwork(classifier.eval().requires_grad_(False), made_for, described["accuracy"])


def _files(folder: Path, spec: DataSpec) -> tuple[Path, Path]:
    return folder / f"{spec.name}.safetensors", folder / f"{spec.name}.json"
