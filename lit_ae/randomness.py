"""Random numbers as a pure function of seed, step and process, so that a resumed training draws what it would have."""

import os
from hashlib import blake2b

import torch


def mix(*numbers: int) -> int:
    """One 63-bit seed from several numbers, the same on every machine."""
    return int.from_bytes(blake2b(repr(numbers).encode(), digest_size=8).digest(), "big") >> 1


def run_seed() -> int:
    """The seed of the run: what Lightning's ``seed_everything`` was given, else 0."""
    return int(os.environ.get("PL_GLOBAL_SEED", 0))


def seed_step(step: int, rank: int, device: torch.device) -> None:
    """Seeds torch's generators for one step of this process."""
    seed = mix(run_seed(), step, rank)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)
    torch.default_generator.manual_seed(seed)
