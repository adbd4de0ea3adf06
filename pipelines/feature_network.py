"""Makes the feature network of a data set of images, which FID, precision and recall are measured by."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from lit_ae.errors import UserError
from pipelines.arguments import OneLineParser
from pipelines.catalogue import Catalogue, closest
from pipelines.command_line import ROOT, one_line_errors
from pipelines.options import Evaluation

if TYPE_CHECKING:
    from lit_ae.metrics.feature_network import FeatureNetwork


def main(argv: list[str] | None = None) -> int:
    """Trains the classifier on the training split, says its test accuracy, and keeps it."""
    parser = OneLineParser(prog="python -m pipelines.feature_network", description=__doc__)
    parser.add_argument("data", help="the data set by its name: MNIST, Digits, ...; it must have images and labels")
    parser.add_argument("--root", help="folder of the data files; default LIT_AE_DATA, else ~/.cache/lit_ae")
    parser.add_argument("--folder", default=Evaluation().features, help="where it is kept (default %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of its weights and batches (default 0)")
    with one_line_errors():
        asked = parser.parse_args(argv)
        made = train(asked.data, asked.root, asked.seed)
        path = made.save(Path(asked.folder).expanduser())
        print(f"{path}: {made.description}")
    return 0


def train(name: str, root: str | None, seed: int) -> "FeatureNetwork":
    """The classifier of the data set of that name.

    Raises:
        UserError: there is no such data set, or it has no images or no labels.
    """
    import torch

    import data
    from lit_ae.metrics.feature_network import FeatureNetwork, fresh_classifier

    known = Catalogue(ROOT).data_sets
    if name not in known:
        raise UserError(f"Unknown data set '{name}': did you mean {closest(name, known) or ' or '.join(known)}?")
    rows = getattr(data, name)(root=root)
    if rows.spec.kind != "image" or not rows.spec.classes:
        raise UserError(f"A feature network needs images with labels, and {name} has none: take MNIST or Digits.")
    rows.prepare_data()
    fit, test = rows.split("fit"), rows.split("test")
    torch.manual_seed(seed)
    classifier = fresh_classifier(rows.spec)
    classifier.learn(fit.x, fit.y)
    return FeatureNetwork(classifier, rows.spec, classifier.accuracy(test.x, test.y))


if __name__ == "__main__":
    sys.exit(main())
