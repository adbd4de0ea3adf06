"""Molecules by RDKit: what is valid, one form for each, and what they are like."""

import importlib.util
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from types import ModuleType

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem, DataStructs, RDConfig, rdBase
from rdkit.Chem import QED, rdFingerprintGenerator, rdMolDescriptors

PROPERTIES = ("logp", "qed", "sas")
"""Octanol-water partition (Wildman & Crippen 1999), drug-likeness from 0 to 1 (Bickerton et al. 2012), and how hard it
is to make, from 1 to 10 (Ertl & Schuffenhauer 2009)."""


def molecule(smiles: str) -> Chem.Mol | None:
    """The molecule, or None where the string is no valid SMILES or holds no atom."""
    with rdBase.BlockLogs():
        found = Chem.MolFromSmiles(smiles)
    return found if found is not None and found.GetNumAtoms() else None


def canonical(smiles: str) -> str | None:
    """RDKit's canonical SMILES, or None where the string is no valid one."""
    found = molecule(smiles)
    return None if found is None else Chem.MolToSmiles(found)


def properties(smiles: Sequence[str]) -> NDArray[np.float32]:
    """:data:`PROPERTIES` of valid SMILES, ``(N, 3)``."""
    rows = np.empty((len(smiles), len(PROPERTIES)), np.float32)
    score = _sascorer().calculateScore
    with rdBase.BlockLogs():
        for place, one in enumerate(smiles):
            found = Chem.MolFromSmiles(one)
            rows[place] = rdMolDescriptors.CalcCrippenDescriptors(found)[0], QED.qed(found), score(found)
    return rows


def internal_diversity(smiles: Sequence[str]) -> float:
    """1 - the mean Tanimoto similarity of all pairs, each with itself included, by Morgan fingerprints of radius 2 and
    1,024 bits (Polykovskiy et al. 2020, IntDiv_1); valid SMILES.
    """
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=1024)
    prints = [generator.GetFingerprint(Chem.MolFromSmiles(one)) for one in smiles]
    similar = [np.mean(DataStructs.BulkTanimotoSimilarity(one, prints)) for one in prints]
    return 1 - float(np.mean(similar))


@cache
def _sascorer() -> ModuleType:
    """RDKit's own SA_Score, which stands in its folder of contributions and in no package."""
    path = Path(RDConfig.RDContribDir) / "SA_Score" / "sascorer.py"
    spec = importlib.util.spec_from_file_location("sascorer", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
