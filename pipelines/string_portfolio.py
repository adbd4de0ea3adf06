"""The pictures of a model of strings."""

from collections.abc import Mapping
from pathlib import Path

import torch

from data.base import LitData
from data.smiles import SMILES
from lit_ae.module import LitAutoencoder
from pipelines.judging.verdict import Verdict
from pipelines.projection import Projection
from pipelines.string_pictures import latent_plane, molecule_grid, named, string_list

STEPS, PAIRS, SAMPLES, MOLECULES = 7, 4, 40, 6


def draw_strings(
    model: LitAutoencoder, data: LitData, verdict: Verdict, maps: Mapping[str, Projection], folder: Path, what: str
) -> list[Path]:
    """Interpolations, samples from the prior, and for molecules drawings of them and the plane of logP."""
    drawn = [_interpolations(model, data.split("test").x, folder, what)]
    if model.prior is not None:
        samples = model.sample(SAMPLES, torch.Generator().manual_seed(0))
        title = f"{what}: likeliest strings for codes from the prior"
        drawn.append(string_list(_strings(model, samples), folder / "samples.png", title))
        if isinstance(data, SMILES):
            drawn.append(_drawn_samples(model, samples, folder))
    if isinstance(data, SMILES):
        drawn += [_reconstructions(model, data, verdict, folder), *_planes(data, maps, folder, what)]
    return drawn


def _strings(model: LitAutoencoder, x: torch.Tensor) -> list[str]:
    spec = model.spec
    return spec.tokenizer.decode(x) if spec.tokenizer else ["".join(named(spec, ids)) for ids in x.long().tolist()]


@torch.no_grad()
def _interpolations(model: LitAutoencoder, x: torch.Tensor, folder: Path, what: str) -> Path:
    """Pairs of test strings, and what is decoded between their codes."""
    share = torch.linspace(0, 1, STEPS)[:, None]
    strings, notes = [], []
    for start, end in zip(x[:PAIRS], x[PAIRS : 2 * PAIRS], strict=False):
        a, b = model.encode(torch.stack([start, end]))
        ends = _strings(model, torch.stack([start, end]))
        strings += [ends[0], *_strings(model, model.decode(a + share * (b - a))), ends[1], ""]
        notes += ["input A", *(f"{step:.2f}" for step in share.flatten().tolist()), "input B", ""]
    title = f"{what}: decoded between the codes of two test strings"
    return string_list(strings[:-1], folder / "interpolations.png", title, notes[:-1])


def _reconstructions(model: LitAutoencoder, data: SMILES, verdict: Verdict, folder: Path) -> Path:
    """Test molecules above their reconstructions."""
    x, x_hat = data.strings("test")[:MOLECULES], _strings(model, verdict.x_hat[:MOLECULES])
    notes = [_note(smiles, smiles == wanted) for smiles, wanted in zip(x_hat, x, strict=True)]
    return molecule_grid([x, x_hat], folder / "molecules.png", [["input"] * len(x), notes])


def _note(smiles: str, is_exact: bool) -> str:
    from lit_ae.molecules import canonical

    if is_exact:
        return "reconstruction, exact"
    return "reconstruction, another one" if canonical(smiles) else "no molecule"


def _drawn_samples(model: LitAutoencoder, samples: torch.Tensor, folder: Path) -> Path:
    from lit_ae.molecules import canonical

    strings = _strings(model, samples[: 2 * MOLECULES])
    notes = ["sample" if canonical(one) else "no molecule" for one in strings]
    rows, below = ([some[:MOLECULES], some[MOLECULES:]] for some in (strings, notes))
    return molecule_grid(rows, folder / "sampled_molecules.png", below)


def _planes(data: SMILES, maps: Mapping[str, Projection], folder: Path, what: str) -> list[Path]:
    """Test codes in the plane, coloured by logP."""
    logp = data.properties("test")[:, 0]
    drawn = []
    for method, shown in maps.items():
        path = folder / f"latent_{method}_logp.png"
        drawn.append(latent_plane(shown.points, logp[shown.rows], path, f"{what}: test codes", shown.axes, "logP"))
    return drawn
