"""Trains an autoencoder: ``python -m pipelines.train --help``."""

import sys

from pipelines.command_line import Request, run


def train(request: Request) -> int:
    """Imports PyTorch and Lightning only now: a misspelt name has been answered already."""
    from pipelines.training import train

    return train(request)


if __name__ == "__main__":
    sys.exit(run(train))
