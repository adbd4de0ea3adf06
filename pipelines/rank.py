"""Which of a training's processes this is. Light to import: the command line asks it before anything else."""

import os


def is_rank_zero() -> bool:
    """Whether this process opens the run: the first one of the first node, however the processes were started."""
    if "RANK" in os.environ:
        return int(os.environ["RANK"]) == 0
    nodes = int(os.environ.get("NODE_RANK", os.environ.get("GROUP_RANK", 0)))
    return nodes == 0 and int(os.environ.get("LOCAL_RANK", os.environ.get("SLURM_PROCID", 0))) == 0
