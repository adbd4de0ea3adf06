"""Random numbers as a pure function of seed, step and process, so that a resumed training draws what it would have."""

import os

import torch


def mix(*numbers: int) -> int:
    """One 63-bit seed from several numbers (the finalizer of SplitMix64; Steele et al. 2014)."""
    state = 0
    for number in numbers:
        state = (state + number + 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
        state ^= state >> 31
    return state >> 1


def seed_step(step: int, rank: int, device: torch.device) -> None:
    """Seeds torch's generator of the device for one step; the run's seed is Lightning's ``PL_GLOBAL_SEED``."""
    seed = mix(int(os.environ.get("PL_GLOBAL_SEED", 0)), step, rank)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)
    torch.default_generator.manual_seed(seed)
