"""What is written into a run before the first step: what was trained on what, by which code."""

import importlib.metadata
import platform
import subprocess
import sys
from pathlib import Path

import torch
import yaml

from data.base import LitData
from lit_ae.module import LitAutoencoder
from pipelines.command_line import ROOT
from pipelines.configuration import CommandLine
from pipelines.tracking import Tracker

NOTE = "mlflow.note.content"  # what MLflow shows as a run's description


def describe_run(model: LitAutoencoder, data: LitData) -> tuple[str, str]:
    """A name and a description (Markdown) of the training."""
    variant, network = type(model).__name__, type(model.network).__name__
    likelihood, spec = type(model.likelihood).__name__, data.spec
    name = f"{variant} {network} {model.latent_dim} {spec.name}"
    parameters = sum(p.numel() for p in model.parameters())
    beside = f", input corrupted by {type(model.corruption).__name__}" if model.corruption else ""
    beside += f", extra terms {', '.join(model.extra_terms.identities)}" if model.extra_terms else ""
    made_up = " (synthetic data)" if spec.synthetic else ""
    description = (
        f"**{variant}** with a {network} network ({parameters:,} parameters), {model.latent_dim} latent dimensions, "
        f"{likelihood} likelihood{beside}, on **{spec.name}**{made_up}: {sizes(data)}, "
        f"binarize {spec.binarize}.{reading(data)}"
    )
    return name, description


def sizes(data: LitData) -> str:
    return ", ".join(f"{count:,} {role}" for role, count in data.split_sizes.items())


def reading(data: LitData) -> str:
    """Sentences for what was left out while reading, and what was noticed; empty for nothing."""
    counts = {"Left out": data.left_out, "Noticed": data.noticed}
    told = {head: ", ".join(f"{count:,} {what}" for what, count in found.items()) for head, found in counts.items()}
    return "".join(f" {head}: {what}." for head, what in told.items() if what)


def log_provenance(tracker: Tracker, line: CommandLine, is_resumed: bool) -> None:
    """Parameters, resolved configuration, commit, data digest, versions."""
    model, data = line.model, line.datamodule
    config = tracker.directory / "config.yaml"
    config.write_text(line.resolved)
    tracker.log_file(config)
    versions = tracker.directory / "versions.txt"
    versions.write_text(installed_versions())
    tracker.log_file(versions)
    tags = {
        NOTE: describe_run(model, data)[1],
        "variant": type(model).__name__,
        "network": type(model.network).__name__,
        "data": data.spec.name,
        "synthetic": str(data.spec.synthetic).lower(),
        "seed": str(line.config["seed_everything"]),
    }
    tracker.set_tags({**tags, **code_version()})
    if is_resumed:
        return
    tracker.set_tags({"recipe": recipe_of(line)})
    show_schema(tracker, data)
    tracker.log_params(flat_parameters(line))
    roles = {"fit": "train", "tune": "validation", "calibrate": "calibration", "test": "test"}
    counts = {roles[role]: count for role, count in data.split_sizes.items()}
    tracker.log_dataset(data.spec.name, data.digest, counts, f"{type(data).__name__}, {data.root}", data.spec.shape)


def recipe_of(line: CommandLine) -> str:
    """The name of the recipe, or of the first other file; empty for a training without one."""
    files = line.config.get("config") or []
    return Path(str(files[0])).stem if files else ""


def show_schema(tracker: Tracker, data: LitData) -> None:
    """What was learned of a table's columns, in the terminal and as an artefact."""
    if data.spec.schema is None:
        return
    page = tracker.directory / "schema.md"
    page.write_text(data.spec.schema.to_markdown())
    tracker.log_file(page)
    print(f"\nColumns of {data.spec.name}\n{page.read_text()}")


def flat_parameters(line: CommandLine) -> dict[str, str]:
    """The resolved configuration under ``section/key`` names, beside what follows from it."""
    flat: dict[str, str] = {}

    def visit(prefix: str, node: object) -> None:
        if isinstance(node, dict):
            for key, value in node.items():
                visit(prefix if key in ("init_args",) else f"{prefix}/{key}" if prefix else str(key), value)
        elif node is not None:
            flat[prefix.removesuffix("/class_path")] = (
                str(node).rpartition(".")[2] if prefix.endswith("class_path") else str(node)
            )

    visit("", yaml.safe_load(line.resolved))
    flat["model/parameters"] = str(sum(p.numel() for p in line.model.parameters()))
    flat["data/digest"] = line.datamodule.digest
    flat |= {f"data/rows/{role}": str(count) for role, count in line.datamodule.split_sizes.items()}
    flat |= {f"data/left_out/{reason}": str(count) for reason, count in line.datamodule.left_out.items()}
    flat |= {f"data/noticed/{what}": str(count) for what, count in line.datamodule.noticed.items()}
    return {name: value[:6000] for name, value in flat.items()}


def code_version() -> dict[str, str]:
    """Tags that name the commit and say whether the tree differs from it; empty outside a git checkout."""
    commit = _git("rev-parse", "HEAD")
    if commit is None:
        return {}
    return {"mlflow.source.git.commit": commit, "git.dirty": str(bool(_git("status", "--porcelain"))).lower()}


def _git(*words: str) -> str | None:
    try:
        done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def installed_versions() -> str:
    """Python, platform, device, and every installed distribution, a line each."""
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else platform.processor() or "CPU"
    heads = [f"# Python {sys.version.split()[0]}, {platform.platform()}, {device}"]
    installed = {f"{d.metadata['Name']}=={d.version}" for d in importlib.metadata.distributions()}
    return "\n".join([*heads, *sorted(installed, key=str.lower)]) + "\n"
