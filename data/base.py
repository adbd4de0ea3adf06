"""What every data set is: rows in three or four roles, and a spec that tells the model about them."""

import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import lightning as L
from torch import Tensor

from data.loading import Split, TensorLoader, TensorSplit, draw_binary
from data.roles import Role, Rows, require_normals, without_repeats
from lit_ae.errors import UserError
from lit_ae.randomness import run_seed
from lit_ae.spec import DataSpec

_DRAWN_WITH: dict[Role, int] = {"fit": 0, "tune": 1, "test": 2, "calibrate": 3}  # seeds of what is drawn once


class LitData(L.LightningDataModule, ABC):
    """Base of all data sets. A subclass says what its :attr:`spec` is and how its rows are read (:meth:`load`).

    Where the data knows what is normal there are four roles: **fit**, **tune** and **calibrate** hold normal rows
    alone, **test** holds both, with labels. No row stands in two roles: of equal rows (by hash) those of the last role
    that has any stay, and the others are left out and counted in :attr:`left_out`. Series are apart in time instead.

    Attributes:
        families: names of the kinds of anomaly; empty where they are not told apart.
        left_out: how many rows were left out, by reason.
        noticed: how many rows are peculiar without being left out, by what they are.

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
        self.families: tuple[str, ...] = ()
        self.left_out: dict[str, int] = {}
        self.noticed: dict[str, int] = {}
        self._splits: dict[Role, TensorSplit] = {}
        self._train_loader: TensorLoader | None = None
        self._position: dict[str, int] | None = None

    @property
    @abstractmethod
    def spec(self) -> DataSpec:
        """What a model must know of the data. Reads files only where they alone can tell, as for a table."""

    @property
    def factors(self) -> Mapping[str, tuple[float, ...] | tuple[str, ...]]:
        """The factors of variation that the rows were made from and the values of each; words where they have no order.

        Empty where nobody knows them.
        """
        return {}

    @abstractmethod
    def load(self) -> dict[Role, Rows]:
        """Reads the rows of each role; ``calibrate`` may be left out where the data has no notion of normal.

        Raises:
            UserError: if a file is missing or damaged.
        """

    @cached_property
    def rows(self) -> dict[Role, Rows]:
        """The rows of each role in the user's own units, read once."""
        loaded = self.load()
        if "calibrate" in loaded:
            loaded = self._apart(loaded)
        fit = loaded["fit"]
        if self.fit_rows is not None:
            if self.fit_rows > len(fit.raw):
                raise UserError(f"data.fit_rows is {self.fit_rows}, but there are only {len(fit.raw)} training rows.")
            fit = fit.take(slice(self.fit_rows))
        if self.fit_on_tune:
            fit = fit.beside(loaded["tune"])
        return {**loaded, "fit": fit}

    def _apart(self, loaded: dict[Role, Rows]) -> dict[Role, Rows]:
        """Refuses anomalies among the normals, and leaves out the rows that a later role holds too."""
        require_normals(loaded)
        if loaded["test"].entity is not None:
            return loaded
        apart = without_repeats(loaded)
        for role, rows in loaded.items():
            if repeated := len(rows.raw) - len(apart[role].raw):
                self.left_out[f"{role} rows that another role holds too"] = repeated
        return apart

    @property
    def split_sizes(self) -> dict[str, int]:
        """Rows of each role."""
        return {role: len(rows.raw) for role, rows in self.rows.items()}

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) of the raw rows, their labels, factors and roles. The order of training has no part in it."""
        return self.digest_of(*self.rows)

    def digest_of(self, *roles: Role) -> str:
        """SHA-256 (hex) of the raw rows of some roles, like :attr:`digest`."""
        sha = hashlib.sha256()
        sha.update(" ".join(self.spec.vocabulary).encode())
        for role in roles:
            for name, tensor in self.rows[role]._asdict().items():
                if tensor is not None:
                    kind = "" if name in ("raw", "y") else f"{name} "
                    sha.update(f"{role} {kind}{tensor.dtype} {tuple(tensor.shape)}".encode())
                    sha.update(tensor.contiguous().flatten().numpy().data)
        return sha.hexdigest()

    def example(self, rows: int = 3) -> Any:
        """The first test rows in the user's own form: an array ``(rows, *spec.shape)``, or a frame, or strings."""
        raw = self.rows["test"].raw[:rows]
        codec = self.spec.codec
        return raw.numpy() if codec is None else codec.decode(raw)

    def optimal_scores(self, rows: Rows) -> Tensor | None:
        """The anomaly scores ``(N,)`` that no others can beat, where the data's own distribution is known."""
        return None

    def split(self, role: Role) -> TensorSplit:
        """The rows of one role for evaluation, in model space. What is dynamic in training was drawn here once.

        Raises:
            UserError: if the data has no such role.
        """
        if role not in self.rows:
            raise UserError(
                f"{self.spec.name} has no normal rows to {role} with: say what is normal, for instance by data.normal."
            )
        if role not in self._splits:
            split = self._split_for_training(role)
            if split.binarize == "dynamic":
                split = TensorSplit(draw_binary(split.x, seed=_DRAWN_WITH[role]), split.y)
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
        self._train_loader = self._loader(self.training_split(), shuffle=True)
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

    def training_split(self) -> Split:
        """The rows to train on, in model space."""
        return self._split_for_training("fit")

    def _split_for_training(self, role: Role) -> TensorSplit:
        rows, spec = self.rows[role], self.spec
        binarize: Literal["none", "dynamic"] = "dynamic" if spec.binarize == "dynamic" else "none"
        return TensorSplit(spec.preprocessing.apply(rows.raw), rows.y, binarize)

    def _loader(self, split: Split, shuffle: bool) -> TensorLoader:
        seed = run_seed() if self.seed is None else self.seed
        rank, world_size = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        return TensorLoader(split, split.sampler(self.batch_size, shuffle, seed, rank, world_size))


def require_at_least(option: str, value: int, lowest: int) -> None:
    """Refuses a value of the option ``data.<option>`` that is too low.

    Raises:
        UserError: if ``value < lowest``.
    """
    if value < lowest:
        raise UserError(f"data.{option} is {value}, but it must be {lowest} or more.")
