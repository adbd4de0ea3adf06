"""Codes brought into the plane, to be looked at."""

from typing import NamedTuple

import numpy as np
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

from pipelines.drawing import Array, to_numpy

SPREAD = "(spread at random)"


class Projection(NamedTuple):
    """Codes in the plane: ``points`` ``(n, 2)``, ``rows`` ``(n,)`` they come from, ``axes`` what each axis is."""

    points: np.ndarray
    rows: np.ndarray
    axes: tuple[str, str]


def planes(codes: Array, tsne_rows: int) -> dict[str, Projection]:
    """The codes in two dimensions by each method's name; without t-SNE for no ``tsne_rows``."""
    by_tsne = {"tsne": project(codes, "tsne", max_rows=tsne_rows)} if tsne_rows else {}
    return {"pca": project(codes), **by_tsne}


def project(codes: Array, method: str = "pca", seed: int = 0, max_rows: int = 2000) -> Projection:
    """Bring codes ``(N, ...)`` into two dimensions, the same way for the same seed.

    A code of two dimensions stays as it is, one of a single dimension is spread at random across the second axis. Rows
    that are not finite are left out, and of more than ``max_rows`` a random selection is used.

    Args:
        codes: the codes; all but the first axis are flattened.
        method: ``"pca"``, or ``"tsne"`` (which falls back to PCA where there is nothing to embed).
        seed: of the selection and of t-SNE.
        max_rows: how many codes to use at most.

    Raises:
        ValueError: for another method.
    """
    if method not in ("pca", "tsne"):
        raise ValueError(f"method is {method!r}, but codes are projected by 'pca' or 'tsne'.")
    flat = to_numpy(codes).reshape(len(codes), -1)
    random = np.random.default_rng(seed)
    rows = np.flatnonzero(np.isfinite(flat).all(axis=1))
    if len(rows) > max_rows:
        rows = np.sort(random.choice(rows, max_rows, replace=False))
    flat = flat[rows]
    if flat.shape[1] == 1:
        return Projection(np.column_stack([flat, random.uniform(-1, 1, len(flat))]), rows, ("z0", SPREAD))
    if flat.shape[1] == 2:
        return Projection(flat, rows, ("z0", "z1"))
    points, axes = _tsne(flat, seed) if method == "tsne" and len(np.unique(flat, axis=0)) > 3 else _pca(flat)
    return Projection(points, rows, axes)


def _pca(codes: np.ndarray) -> tuple[np.ndarray, tuple[str, str]]:
    if len(codes) < 2:
        return np.zeros((len(codes), 2)), ("first principal component", "second principal component")
    pca = PCA(n_components=2, svd_solver="full")
    with np.errstate(invalid="ignore"):
        points = pca.fit_transform(codes)
    first, second = (f"{share:.1%}".replace("%", " %") for share in np.nan_to_num(pca.explained_variance_ratio_))
    said = "{} principal component, {} of the variance"
    return points, (said.format("first", first), said.format("second", second))


def _tsne(codes: np.ndarray, seed: int) -> tuple[np.ndarray, tuple[str, str]]:
    perplexity = min(30.0, (len(codes) - 1) / 3)
    points = TSNE(perplexity=perplexity, random_state=seed).fit_transform(codes)
    return points, (f"t-SNE 1, perplexity {perplexity:.3g}", "t-SNE 2")
