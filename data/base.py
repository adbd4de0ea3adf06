"""What every data set is: rows in three roles, and a spec that tells the model about them."""

import hashlib
import os
from abc import ABC, abstractmethod
from functools import cached_property
from pathlib import Path
from typing import Literal, NamedTuple, get_args

import lightning as L
import torch
from torch import Tensor

from data.loading import GlobalBatchSampler, TensorLoader, TensorSplit, draw_binary
from lit_ae.errors import UserError
from lit_ae.randomness import run_seed
from lit_ae.spec import DataSpec

Role = Literal["fit", "tune", "test"]


class Rows(NamedTuple):
    """The rows of one role, in the user's own units.

    Attributes:
        raw: samples ``(N, *spec.shape)``, of any number type.
        y: class labels ``(N,)``, int64, or None.
    """

    raw: Tensor
    y: Tensor | None = None


class LitData(L.LightningDataModule, ABC):
    """Base of all data sets. A subclass says what its :attr:`spec` is and how its rows are read (:meth:`load`).

    Args:
        root: folder of the data files; by default what the environment variable LIT_AE_DATA says, or else
            ``~/.cache/lit_ae``.
        batch_size: rows of one optimizer step, over all processes together.
        seed: of the order of the training rows and of what is drawn from them; by default the run's own
            (``seed_everything``).
        fit_rows: train on the first so many rows only, for a quick look; all of them by default.
        fit_on_tune: train on the tuning rows too, once nothing is left to be chosen by them; what is measured on them
            is then no longer held out.

    Raises:
        UserError: if a value makes no sense.
    """

    def __init__(
        self,
        root: str | None = None,
        batch_size: int = 128,
        seed: int | None = None,
        fit_rows: int | None = None,
        fit_on_tune: bool = False,
    ):
        super().__init__()
        require_at_least("batch_size", batch_size, 2)
        if seed is not None:
            require_at_least("seed", seed, 0)
        if fit_rows is not None:
            require_at_least("fit_rows", fit_rows, 2)
        self.root = Path(root or os.environ.get("LIT_AE_DATA") or "~/.cache/lit_ae").expanduser()
        self.batch_size, self.seed, self.fit_rows, self.fit_on_tune = batch_size, seed, fit_rows, fit_on_tune
        self._splits: dict[Role, TensorSplit] = {}
        self._train_loader: TensorLoader | None = None
        self._position: dict[str, int] | None = None

    @property
    @abstractmethod
    def spec(self) -> DataSpec:
        """What a model must know of the data. Reads no file."""

    @abstractmethod
    def load(self) -> dict[Role, Rows]:
        """Reads the rows of each role.

        Raises:
            UserError: if a file is missing or damaged.
        """

    @cached_property
    def rows(self) -> dict[Role, Rows]:
        """The rows of each role in the user's own units, read once."""
        loaded = self.load()
        fit = loaded["fit"]
        if self.fit_rows is not None:
            if self.fit_rows > len(fit.raw):
                raise UserError(f"data.fit_rows is {self.fit_rows}, but there are only {len(fit.raw)} training rows.")
            fit = Rows(*(part if part is None else part[: self.fit_rows] for part in fit))  # type: ignore[arg-type]
        if self.fit_on_tune:
            both = zip(fit, loaded["tune"], strict=True)
            fit = Rows(*(None if a is None or b is None else torch.cat([a, b]) for a, b in both))  # type: ignore[arg-type]
        return {**loaded, "fit": fit}

    @property
    def split_sizes(self) -> dict[str, int]:
        """Rows of each role."""
        return {role: len(rows.raw) for role, rows in self.rows.items()}

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) of the raw rows, their labels and their roles. The order of training has no part in it."""
        sha = hashlib.sha256()
        for role, rows in self.rows.items():
            for tensor in (rows.raw, rows.y):
                if tensor is not None:
                    sha.update(f"{role} {tensor.dtype} {tuple(tensor.shape)}".encode())
                    sha.update(tensor.flatten().numpy().data)
        return sha.hexdigest()

    def split(self, role: Role) -> TensorSplit:
        """The rows of one role for evaluation, in model space. What is dynamic in training was drawn here once."""
        if role not in self._splits:
            split = self._split_for_training(role)
            if split.binarize == "dynamic":
                split = TensorSplit(draw_binary(split.x, seed=get_args(Role).index(role)), split.y)
            self._splits[role] = split
        return self._splits[role]

    def setup(self, stage: str | None = None) -> None:
        """Reads the rows.

        Raises:
            UserError: if a file is missing or damaged, or fit_rows is more than there are.
        """
        _ = self.rows

    def train_dataloader(self) -> TensorLoader:
        """The training rows, in an order of its own for every epoch."""
        self._train_loader = self._loader(self._split_for_training("fit"), shuffle=True)
        if self._position is not None:
            self._train_loader.load_state_dict(self._position)
            self._position = None
        return self._train_loader

    def state_dict(self) -> dict[str, int]:
        """Where the training stands in its epoch. Lightning keeps it in the checkpoint."""
        return self._train_loader.state_dict() if self._train_loader else {}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """The next training loader goes on where ``state`` was taken.

        Lightning hands the loader's own state back too late where the model has asked for the number of steps.
        """
        self._position = state or None

    def val_dataloader(self) -> TensorLoader:
        """The tuning rows, in order."""
        return self._loader(self.split("tune"), shuffle=False)

    def test_dataloader(self) -> TensorLoader:
        """The test rows, in order."""
        return self._loader(self.split("test"), shuffle=False)

    def _split_for_training(self, role: Role) -> TensorSplit:
        rows, spec = self.rows[role], self.spec
        binarize: Literal["none", "dynamic"] = "dynamic" if spec.binarize == "dynamic" else "none"
        return TensorSplit(spec.preprocessing.apply(rows.raw), rows.y, binarize)

    def _loader(self, split: TensorSplit, shuffle: bool) -> TensorLoader:
        seed = run_seed() if self.seed is None else self.seed
        rank, world_size = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        return TensorLoader(split, GlobalBatchSampler(len(split), self.batch_size, shuffle, seed, rank, world_size))


def require_at_least(option: str, value: int, lowest: int) -> None:
    """Refuses a value of the option ``data.<option>`` that is too low.

    Raises:
        UserError: if ``value < lowest``.
    """
    if value < lowest:
        raise UserError(f"data.{option} is {value}, but it must be {lowest} or more.")
