"""The training command, with one process that fails: ``python sabotage.py <rank> <how> <options of the command>``."""

import os
import signal
import sys

from lit_ae.module import LitAutoencoder
from pipelines.command_line import run
from pipelines.training import train

STEP = 3


def fail(how: str) -> None:
    """Ends this process in one of the ways in which processes end."""
    if how == "raise":
        raise ValueError("sabotage")
    os.kill(os.getpid(), signal.SIGKILL)


def main() -> int:
    """Trains; the process of the rank fails before it joins the others (how: start), or at a step."""
    rank, how = int(sys.argv[1]), sys.argv[2]
    mine = int(os.environ.get("LOCAL_RANK", 0)) == rank
    if mine and how == "start":
        return 3
    step = LitAutoencoder.training_step

    def sabotaged(self, batch, batch_idx):
        if mine and self.trainer.global_step == STEP:
            if how == "nan":
                return step(self, batch._replace(x=batch.x * float("nan")), batch_idx)
            fail(how)
        return step(self, batch, batch_idx)

    LitAutoencoder.training_step = sabotaged
    return run(train, sys.argv[3:])


if __name__ == "__main__":
    sys.exit(main())
