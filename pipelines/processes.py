"""Which process of a training this is, before and after Lightning has started the others."""

import os

import torch.distributed


def is_rank_zero() -> bool:
    """Whether this process opens the run: the first one of the first node, however the processes were started."""
    if "RANK" in os.environ:
        return int(os.environ["RANK"]) == 0
    nodes = int(os.environ.get("NODE_RANK", os.environ.get("GROUP_RANK", 0)))
    return nodes == 0 and int(os.environ.get("LOCAL_RANK", os.environ.get("SLURM_PROCID", 0))) == 0


def end_process_group() -> None:
    """Ends the processes' communication: what follows is done by the first of them alone."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.barrier()
        torch.distributed.destroy_process_group()
