"""Molecules, written as SMILES."""

import csv
import importlib.metadata
import io
import os
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from data.base import Role
from data.derived import derived_array, derived_lines
from data.files import fetch_converted, read_checked
from data.lines import read_lines
from data.strings import Strings, apart_by_hash, require_share
from lit_ae.errors import UserError
from lit_ae.tokenizers import Selfies, Smiles, Tokenizer

Source = Literal["nci", "zinc"]
Notation = Literal["smiles", "selfies"]

ZINC_SOURCE = (
    "https://raw.githubusercontent.com/aspuru-guzik-group/chemical_vae/main/models/zinc_properties/"
    "250k_rndm_zinc_drugs_clean_3.csv"
)
ZINC_SHA256 = "df0aa677c770f15c9943684d6600cba8e7076c67be6a090c12f24da3aaa55b70"  # of the SMILES, one a line
ZINC_TEST = 5_000  # the first lines, as in Gomez-Bombarelli et al. 2018


class SMILES(Strings):
    """Molecules in RDKit's canonical form, with logP, QED and SAS for judging a model by.

    ``nci`` are the 5,000 molecules of the National Cancer Institute that RDKit ships: nothing to download. ``zinc`` are
    249,455 drug-like molecules in ``<root>/ZINC250k/250k_smiles.txt`` (Gomez-Bombarelli et al. 2018), downloaded where
    they are missing; their first 5,000 lines are the test split. A file of the user's own has a SMILES a line, and
    behind a blank whatever else. Lines that are no valid SMILES are left out and counted, and so are training and
    tuning molecules that stand in a later split.

    Args:
        source: which molecules; without meaning where a path is given.
        path: a file of the user's own, UTF-8, packed by gzip or not; tried under ``root`` too.
        notation: what the model learns: SMILES, or SELFIES, of which (nearly) every sequence is a molecule. The user's
            rows are SMILES either way.
        tune_share: share of the distinct molecules that is for tuning.
        test_share: share of the distinct molecules that is for the test; of ZINC always the first 5,000 lines.
        cache: folder where canonical forms and properties are kept; by default what the environment variable
            LIT_AE_CACHE says, or else ``~/.cache/lit_ae/derived``. Where it can't be written all is computed anew.
        **strings: what all strings take, see :class:`data.strings.Strings`.

    Raises:
        UserError: if a value makes no sense.
    """

    def __init__(
        self,
        source: Source = "nci",
        path: str | None = None,
        notation: Notation = "smiles",
        tune_share: float = 0.1,
        test_share: float = 0.1,
        cache: str | None = None,
        **strings: Any,
    ):
        super().__init__(**strings)
        for option, value, allowed in (("source", source, Source), ("notation", notation, Notation)):
            if value not in get_args(allowed):
                raise UserError(f"data.{option} is {value!r}, but it must be one of {', '.join(get_args(allowed))}.")
        require_share("tune_share", tune_share)
        require_share("test_share", test_share)
        self.source, self.notation = source, notation
        self.path = None if path is None else Path(path).expanduser()
        self.tune_share, self.test_share = tune_share, test_share
        self.cache = Path(cache or os.environ.get("LIT_AE_CACHE") or "~/.cache/lit_ae/derived").expanduser()

    @property
    def label(self) -> str:
        if self.path is not None:
            return self.path.name.partition(".")[0]
        return {"nci": "NCI", "zinc": "ZINC250k"}[self.source]

    @property
    def tokenizer_class(self) -> type[Tokenizer]:
        return Selfies if self.notation == "selfies" else Smiles

    @property
    def file(self) -> Path:
        """Where the molecules are."""
        if self.path is not None:
            return self.path if self.path.exists() else self.root / self.path
        if self.source == "zinc":
            return self.root / "ZINC250k" / "250k_smiles.txt"
        from rdkit import RDConfig

        return Path(RDConfig.RDDataDir) / "NCI" / "first_5K.smi"

    def prepare_data(self) -> None:
        """Downloads ZINC where it is asked for and missing.

        Raises:
            UserError: if it is missing and cannot be had.
        """
        if self.path is None and self.source == "zinc" and not self.file.exists():
            fetch_converted(ZINC_SOURCE, self.file, ZINC_SHA256, smiles_column)

    def read(self) -> dict[Role, list[str]]:
        """Reads the file, and canonicalises its molecules."""
        forms = self._canonical(list(self._written()))
        if invalid := forms.count(""):
            self.left_out["strings that are no valid SMILES"] = invalid
        if len(forms) == invalid:
            raise UserError(f"{self.file} holds no valid SMILES: give --data.path a file with one a line.")
        if self.path is None and self.source == "zinc":
            return self._usual_split(forms)
        return apart_by_hash(self._expressible(forms), self.tune_share, self.test_share, self.calibrate_share)

    def _usual_split(self, forms: list[str]) -> dict[Role, list[str]]:
        """The first lines are the test split; the rest is for training and tuning, without what the test holds."""
        test = self._expressible(forms[:ZINC_TEST])
        rest = self._expressible(forms[ZINC_TEST:])
        held_out = set(test)
        apart = [form for form in rest if form not in held_out]
        if repeated := len(rest) - len(apart):
            self.left_out["training and tuning molecules that the test split holds too"] = repeated
        roles = apart_by_hash(apart, self.tune_share, self.test_share, self.calibrate_share)
        return {**roles, "fit": roles["fit"] + roles["test"], "test": test}

    def _written(self) -> Iterator[str]:
        """Each line's first word, as it stands in the file."""
        if self.path is None and self.source == "zinc":
            read_checked(self.file, ZINC_SHA256)
        for line in read_lines(self.file):
            words = line.split(maxsplit=1)
            if words:
                yield words[0]
            else:
                self.left_out["empty lines"] = self.left_out.get("empty lines", 0) + 1

    def _canonical(self, written: list[str]) -> list[str]:
        """The canonical form of each string, empty where it is no valid SMILES; kept for the next time."""
        from lit_ae.molecules import canonical

        def compute() -> list[str]:
            return [canonical(one) or "" for one in written]

        return derived_lines(self.cache / f"canonical-{_name(written)}.txt", len(written), compute)

    def _expressible(self, forms: list[str]) -> list[str]:
        """The valid molecules that the notation can express; the others are counted."""
        valid = [form for form in forms if form]
        if self.notation == "smiles":
            return valid
        expressible = [form for form in valid if Selfies.expresses(form)]
        if lost := len(valid) - len(expressible):
            reason = "molecules that SELFIES cannot express"
            self.left_out[reason] = self.left_out.get(reason, 0) + lost
        return expressible

    def properties(self, role: Role, rows: int | None = None) -> Tensor:
        """logP, QED and SAS of the first ``rows`` strings of a role, ``(N, 3)``; kept for the next time.

        Row i belongs to row i of ``self.rows[role]``.
        """
        from lit_ae.molecules import PROPERTIES, properties

        smiles = self.strings(role)[:rows]
        shape = (len(smiles), len(PROPERTIES))
        path = self.cache / f"properties-{_name(smiles)}.npy"
        return torch.from_numpy(derived_array(path, shape, lambda: properties(smiles)))


def smiles_column(content: bytes) -> bytes:
    """The column ``smiles`` of a CSV file, one value a line.

    Raises:
        UserError: if there is no such column.
    """
    table = csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline=""))
    if "smiles" not in (table.fieldnames or ()):
        raise UserError(f"{ZINC_SOURCE} has no column smiles: get 250k_smiles.txt from elsewhere.")
    return "".join(f"{row['smiles'].strip()}\n" for row in table).encode()


def _name(strings: list[str]) -> str:
    """Tells what is derived from these strings by this version of RDKit."""
    version = importlib.metadata.version("rdkit")
    return sha256("\n".join([version, *strings]).encode()).hexdigest()[:32]
