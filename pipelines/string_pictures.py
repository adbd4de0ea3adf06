"""Pictures of strings: what comes back of them token by token, lists of them, and molecules drawn."""

from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from lit_ae.spec import DataSpec
from pipelines.drawing import GREY, INK, RED, Array, name_axes, new_figure, save, to_numpy

WIDTH, LINE = 11.0, 0.2  # inches of a picture, and of a line of text in it
COLUMNS = 110  # characters of a line that are shown
CELL = (240, 180)  # pixels of a molecule


def string_pairs(x: Tensor, x_hat: Tensor, spec: DataSpec, path: Path, title: str) -> Path:
    """Each string ``(N, T)`` above its reconstruction, in which the tokens that differ are red."""
    lines: list[list[tuple[str, str]]] = []
    for ids, ids_hat in zip(x.long().tolist(), x_hat.long().tolist(), strict=True):
        tokens, tokens_hat = named(spec, ids), named(spec, ids_hat)
        lines += [[(token, GREY) for token in tokens], _marked(tokens_hat, tokens), []]
    return _text(lines[:-1], path, f"{title}: input (grey) and reconstruction (red where it differs)")


def strings_by_model(x: Tensor, of_models: Mapping[str, Tensor], spec: DataSpec, path: Path, title: str) -> Path:
    """Each string ``(N, T)`` above its reconstruction by each model, in which the tokens that differ are red."""
    width = max(map(len, [*of_models, "input"])) + 2
    lines: list[list[tuple[str, str]]] = []
    for place, ids in enumerate(x.long().tolist()):
        tokens = named(spec, ids)
        lines.append([("input".ljust(width), INK), *((token, GREY) for token in tokens)])
        for name, x_hat in of_models.items():
            lines.append([(name.ljust(width), INK), *_marked(named(spec, x_hat[place].long().tolist()), tokens)])
        lines.append([])
    return _text(lines[:-1], path, f"{title} (red where it differs)")


def _marked(tokens_hat: list[str], tokens: list[str]) -> list[tuple[str, str]]:
    """Reconstructed tokens with their colours: red where they differ."""
    colours = [INK if token == other else RED for token, other in zip(tokens_hat, tokens, strict=False)]
    colours += [RED] * (len(tokens_hat) - len(colours))
    return list(zip(tokens_hat, colours, strict=True))


def string_list(strings: Sequence[str], path: Path, title: str, notes: Sequence[str] = ()) -> Path:
    """A string a line, with a note before it where there is one."""
    notes = [f"{note}  " for note in notes] or [""] * len(strings)
    width = max(map(len, notes), default=0)
    lines = [[(note.ljust(width), GREY), (string, INK)] for note, string in zip(notes, strings, strict=True)]
    return _text(lines, path, title)


def named(spec: DataSpec, ids: list[int]) -> list[str]:
    """The tokens that a row of ids stands for."""
    if spec.tokenizer:
        return spec.tokenizer.named(ids)
    return [spec.vocabulary[number] for number in ids if number != spec.pad]


def _text(lines: Sequence[Sequence[tuple[str, str]]], path: Path, title: str) -> Path:
    figure = new_figure(WIDTH, LINE * len(lines) + 0.7, title)
    panel = figure.subplots()
    panel.set(xlim=(0, COLUMNS), ylim=(max(1, len(lines)), 0))
    panel.set_axis_off()
    for place, line in enumerate(lines):
        _write(panel, place + 0.5, line)
    return save(figure, path)


def _write(panel: Axes, height: float, line: Sequence[tuple[str, str]]) -> None:
    """Coloured pieces, one after the other, at a fixed width a character; what does not fit is cut off."""
    at = 0
    for text, colour in line:
        for letter in text.replace("\n", " "):
            if at < COLUMNS:
                panel.text(at, height, letter.replace("$", r"\$"), color=colour, family="monospace", fontsize=10.5)
            at += 1


def molecule_grid(rows: Sequence[Sequence[str]], path: Path, notes: Sequence[Sequence[str]]) -> Path:
    """Rows of molecules, all of one length, drawn by RDKit from their SMILES; a note below each, and alone for none."""
    from rdkit.Chem.Draw import rdMolDraw2D

    from lit_ae.molecules import molecule

    width, height = CELL
    canvas = rdMolDraw2D.MolDraw2DCairo(len(rows[0]) * width, len(rows) * height, width, height)
    found = [molecule(smiles) for row in rows for smiles in row]
    legends = [note for row in notes for note in row]
    options: Any = canvas.drawOptions()
    options.fixedBondLength = 25  # pixels
    canvas.DrawMolecules(found, legends=legends)
    canvas.FinishDrawing()
    image = Image.open(BytesIO(canvas.GetDrawingText())).convert("RGB")
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(16)
    for place, note in enumerate(legends):
        if found[place] is None:
            down, across = divmod(place, len(rows[0]))
            pen.text(((across + 0.5) * width, (down + 0.5) * height), note, GREY, font, "mm")
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)
    return path


def latent_plane(points: Array, values: Array, path: Path, title: str, axes: tuple[str, str], name: str) -> Path:
    """Codes in the plane ``(N, 2)``, coloured by numbers ``(N,)`` from the 2nd to the 98th percentile."""
    points, numbers = to_numpy(points), to_numpy(values)
    figure = new_figure(6.2, 5.2, title)
    panel = figure.subplots()
    low, high = np.percentile(numbers, [2, 98])
    size = float(np.clip(9000 / max(len(points), 1), 5, 40))
    dots = panel.scatter(
        points[:, 0], points[:, 1], c=numbers, s=size, cmap="viridis", norm=Normalize(low, high), linewidths=0
    )
    figure.colorbar(dots, ax=panel, extend="both").set_label(name, fontsize=9, color=INK)
    name_axes(panel, *axes)
    return save(figure, path)
