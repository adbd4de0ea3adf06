"""Your own images."""

from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from data.base import require_at_least
from data.labelled import Labelled, LabelledData
from data.readers import BadRows
from lit_ae.errors import UserError
from lit_ae.preprocessing import Rescale
from lit_ae.spec import DataSpec

Colours = Literal["grey", "rgb"]
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp")
MODES = {"grey": "L", "rgb": "RGB"}


class Images(LabelledData):
    """A folder of images of your own; its folders, where it has any, are the classes.

    Each image is made ``side`` pixels high and wide, and is held in memory, a byte a value.

    Args:
        path: the folder.
        side: height and width.
        colours: ``grey`` or ``rgb``.
        bad_files: ``refuse`` stops at an image that can't be read, ``skip`` leaves it out and counts it.
        **loading: what your own samples take, see :class:`data.labelled.LabelledData`.

    Raises:
        UserError: if a value makes no sense.
    """

    def __init__(
        self, path: str, side: int = 32, colours: Colours = "grey", bad_files: BadRows = "refuse", **loading: Any
    ):
        super().__init__(**loading)
        require_at_least("side", side, 4)
        for option, value, known in (("colours", colours, Colours), ("bad_files", bad_files, BadRows)):
            if value not in get_args(known):
                raise UserError(f"data.{option} is {value!r}, but it must be one of {', '.join(get_args(known))}.")
        self.path, self.side, self.colours, self.bad_files = Path(path).expanduser(), side, colours, bad_files

    @property
    def spec(self) -> DataSpec:
        """Images ``(1 or 3, side, side)``; 0 is black and 1 is white."""
        shape = (len(MODES[self.colours]), self.side, self.side)
        classes = tuple(sorted(self._files)) if "" not in self._files else ()
        return DataSpec("Images", "image", shape, Rescale(0.0, 255.0), value_range=(0.0, 1.0), classes=classes)

    def read(self) -> Labelled:
        """Reads the images: raw ``(N, 1 or 3, side, side)``, uint8."""
        images: list[Tensor] = []
        y: list[int] = []
        for number, name in enumerate(sorted(self._files)):
            for file in self._files[name]:
                if (image := self._image(file)) is not None:
                    images.append(image)
                    y.append(number)
        if not images:
            raise UserError(f"{self.path} holds no image that can be read: give it some.")
        classes = self.spec.classes
        return Labelled(torch.stack(images), torch.tensor(y) if classes else None, classes)

    @cached_property
    def _files(self) -> dict[str, list[Path]]:
        """The image files of each class, in the order of their names; of the class "" where there are no folders."""
        if not self.path.is_dir():
            raise UserError(f"{self.path} is no folder: say by data.path where the images are.")
        folders = [folder for folder in self.path.iterdir() if folder.is_dir()]
        found = {folder.name: _images_in(folder) for folder in folders}
        loose = _images_in(self.path)
        if loose and any(found.values()):
            raise UserError(f"{self.path} holds images both beside and in folders: put each into a class's folder.")
        files = {"": loose} if loose else {name: images for name, images in found.items() if images}
        if not files:
            raise UserError(f"{self.path} holds no image: their names must end in {', '.join(SUFFIXES)}.")
        return files

    def _image(self, file: Path) -> Tensor | None:
        try:
            with Image.open(file) as image:
                pixels = image.convert(MODES[self.colours]).resize((self.side, self.side), Image.Resampling.BOX)
        except (OSError, ValueError, SyntaxError, UnidentifiedImageError, Image.DecompressionBombError) as error:
            if self.bad_files == "skip":
                self.left_out["images that could not be read"] = (
                    self.left_out.get("images that could not be read", 0) + 1
                )
                return None
            raise UserError(
                f"{file} is no image that can be read: mend it, or leave such files out by data.bad_files skip."
            ) from error
        return torch.from_numpy(np.array(pixels)).view(self.side, self.side, -1).permute(2, 0, 1)


def _images_in(folder: Path) -> list[Path]:
    return sorted(file for file in folder.iterdir() if file.suffix.lower() in SUFFIXES and file.is_file())
