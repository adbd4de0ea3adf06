"""A model on disk: weights in safetensors, everything else in JSON. No pickle."""

import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from lit_ae.describe import build
from lit_ae.detection.detector import Detector, State
from lit_ae.module import LitAutoencoder
from lit_ae.monitoring.profile import Profile
from lit_ae.serving.integrity import seal, verify
from lit_ae.spec import DataSpec

DESCRIPTION, WEIGHTS = "model.json", "weights.safetensors"
DETECTOR, SEEN = "detector.json", "detector.safetensors"
PROFILE, NORMAL = "profile.json", "profile.safetensors"


def save(
    model: LitAutoencoder, directory: Path, detector: Detector | None = None, profile: Profile | None = None
) -> None:
    """Writes the model's make-up, its spec and its weights into ``directory``; beside them its detector and profile."""
    directory.mkdir(parents=True, exist_ok=True)
    described = {"model": model.description, "spec": model.spec.to_dict()}
    (directory / DESCRIPTION).write_text(json.dumps(described, indent=2) + "\n")
    save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, directory / WEIGHTS)
    if detector is not None:
        save_detector(detector, directory)
    if profile is not None:
        save_profile(profile, directory)
    seal(directory)


def load(directory: Path) -> LitAutoencoder:
    """The model that :func:`save` wrote, on the CPU, ready to infer. The caller's random state stays as it is.

    Raises:
        UserError: a file is not the one that was packed.
    """
    verify(directory)
    described = json.loads((directory / DESCRIPTION).read_text())
    with torch.random.fork_rng(devices=[]):
        model: LitAutoencoder = build(described["model"])(DataSpec.from_dict(described["spec"]))
    model.load_state_dict(load_file(directory / WEIGHTS))
    return model.eval().requires_grad_(False)


def save_detector(detector: Detector, directory: Path) -> None:
    """Writes what the detector has seen, and the models that judge beside the first one."""
    save_judgement(detector, directory)
    for place, witness in enumerate(detector.witnesses[1:], start=1):
        save(witness.model, _member(directory, place))


def save_judgement(detector: Detector, directory: Path) -> None:
    """Writes what the detector has seen, and its threshold, alone: the models beside it stay as they are."""
    plain, tensors = detector.state()
    (directory / DETECTOR).write_text(json.dumps(plain, indent=2) + "\n")
    save_file(tensors, directory / SEEN)


def load_detector(directory: Path, model: LitAutoencoder | None = None) -> Detector | None:
    """The detector that :func:`save` wrote; None where the model has none.

    Args:
        directory: of the model.
        model: the model itself, where it is loaded already.

    Raises:
        UserError: a file is not the one that was packed.
    """
    verify(directory)
    if not (directory / DETECTOR).is_file():
        return None
    plain = json.loads((directory / DETECTOR).read_text())
    others = [load(_member(directory, place)) for place in range(1, plain["members"])]
    return Detector.restore([model or load(directory), *others], State(plain, load_file(directory / SEEN)))


def save_profile(profile: Profile, directory: Path) -> None:
    """Writes what the model is watched by."""
    plain, tensors = profile.state()
    (directory / PROFILE).write_text(json.dumps(plain, indent=2) + "\n")
    save_file(tensors, directory / NORMAL)


def load_profile(directory: Path) -> Profile | None:
    """The profile that :func:`save_profile` wrote; None where the model has none.

    Raises:
        UserError: a file is not the one that was packed.
    """
    verify(directory)
    if not (directory / PROFILE).is_file():
        return None
    return Profile.restore(json.loads((directory / PROFILE).read_text()), load_file(directory / NORMAL))


def _member(directory: Path, place: int) -> Path:
    return directory / f"member_{place}"
