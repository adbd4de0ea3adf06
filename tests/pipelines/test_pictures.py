"""Every picture is a readable PNG whatever is put in, and says what it was given."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from pipelines import pictures

DIGITS = load_digits()
ROWS = DIGITS.data[:200] / 16
IMAGES = ROWS.reshape(-1, 1, 8, 8)
COLOUR = np.random.default_rng(0).uniform(size=(6, 3, 20, 30))
SEQUENCES = np.random.default_rng(0).normal(size=(6, 25, 5))
KINDS = {
    "grey": IMAGES,
    "colour": COLOUR,
    "large": COLOUR.repeat(7, axis=2).repeat(7, axis=3),
    "rows": ROWS[:4],
    "sequences": SEQUENCES,
    "one sample": IMAGES[:1],
    "one row of one feature": ROWS[:1, :1],
    "huge": np.tile(COLOUR[:1], (1, 1, 30, 30)),
    "not a number": np.full_like(IMAGES, np.nan),
    "rows not a number": np.full_like(ROWS, np.nan),
    "infinite": np.where(IMAGES > 0.5, np.inf, -np.inf),
    "constant": np.zeros_like(IMAGES),
    "bfloat16": torch.from_numpy(IMAGES).bfloat16().requires_grad_(),
}
every_kind = pytest.mark.parametrize("x", KINDS.values(), ids=KINDS.keys())


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every text of the figures saved meanwhile."""
    texts: list[str] = []
    save = Figure.savefig

    def listen(figure: Figure, *args: object, **kwargs: object) -> None:
        save(figure, *args, **kwargs)
        texts.extend(text.get_text() for text in figure.findobj(Text) if text.get_visible() and text.get_text())

    monkeypatch.setattr(Figure, "savefig", listen)
    return texts


def opened(path: Path) -> Image.Image:
    """The picture, after a check that it is a PNG of a size one can look at and is not blank."""
    with Image.open(path) as image:
        image.load()
    assert image.format == "PNG"
    assert 150 <= image.width <= 2600
    assert 100 <= image.height <= 2600
    assert np.ptp(np.asarray(image.convert("L"))) > 50
    return image


def colour_share(image: Image.Image, colour: str) -> float:
    """The share of pixels that have exactly this colour, ``#rrggbb``."""
    wanted = tuple(bytes.fromhex(colour[1:]))
    return float((np.asarray(image.convert("RGB")) == wanted).all(axis=-1).mean())


@every_kind
def test_reconstructions_of_every_kind(x: pictures.Array, tmp_path: Path):
    errors = np.linspace(0, 1, len(x))
    path = pictures.reconstruction_grid(x, x * 0.9, tmp_path / "new" / "r.png", "t", x * 0.5, None, errors)
    assert path == tmp_path / "new" / "r.png"
    opened(path)


@every_kind
def test_samples_interpolations_and_traversals_of_every_kind(x: pictures.Array, tmp_path: Path):
    x = x[:3]
    grid = torch.stack([torch.as_tensor(x)] * 2).transpose(0, 1).repeat_interleave(2, dim=1)
    drawn = [
        opened(pictures.sample_grid(x, tmp_path / "s.png", "samples")),
        opened(pictures.interpolation_grid(grid, tmp_path / "i.png", "interpolations")),
        opened(pictures.traversal_grid(grid, [-3, -1, 1, 3], range(len(grid)), tmp_path / "t.png", "traversals")),
    ]
    assert all(colour_share(image, "#ffffff") < 0.98 for image in drawn)


def test_reconstruction_grid_shows_the_pixels_it_was_given(tmp_path: Path):
    black, white = np.zeros((3, 1, 8, 8)), np.ones((3, 1, 8, 8))
    image = opened(pictures.reconstruction_grid(white, black, tmp_path / "r.png", "white became black"))
    same = opened(pictures.reconstruction_grid(black, black, tmp_path / "s.png", "black stayed black"))
    assert colour_share(same, "#000000") == pytest.approx(2 * colour_share(image, "#000000"), rel=0.01)
    assert colour_share(same, "#000000") > 0.4


def test_reconstruction_grid_names_its_rows_and_errors(said: list[str], tmp_path: Path):
    pictures.reconstruction_grid(IMAGES[:2], IMAGES[:2], tmp_path / "r.png", "Digits", IMAGES[:2], errors=[0.0125, 3])
    assert {"Digits", "input", "corrupted", "reconstruction", "0.0125", "3.00"} <= set(said)


def test_not_a_number_is_red(tmp_path: Path):
    image = opened(pictures.sample_grid(np.full((4, 1, 8, 8), np.nan), tmp_path / "s.png", "nothing but NaN"))
    assert colour_share(image, pictures.RED) > 0.5


def test_corrupted_images_may_be_of_a_lower_resolution(tmp_path: Path):
    low = IMAGES[:5, :, ::4, ::4]
    seen = opened(pictures.reconstruction_grid(IMAGES[:5], IMAGES[:5], tmp_path / "r.png", "t", low))
    without = opened(pictures.reconstruction_grid(IMAGES[:5], IMAGES[:5], tmp_path / "w.png", "t"))
    assert seen.height > without.height


def test_large_images_take_fewer_columns(tmp_path: Path):
    small = pictures.sample_grid(np.random.default_rng(0).uniform(size=(144, 1, 8, 8)), tmp_path / "a.png", "small")
    large = pictures.sample_grid(np.random.default_rng(0).uniform(size=(16, 1, 136, 136)), tmp_path / "b.png", "large")
    assert opened(small).width / 12 < opened(large).width / 4


def test_traversal_labels_hold_the_dimension_its_kl_and_the_values(said: list[str], tmp_path: Path):
    grid = np.zeros((30, 3, 1, 8, 8))
    pictures.traversal_grid(grid, [-3, 0, 3], range(7, 37), tmp_path / "t.png", "t", kl=[1.23] * 30)
    assert {"z7, KL 1.23 nats", "z26, KL 1.23 nats", "\N{MINUS SIGN}3", "0", "3"} <= set(said)
    assert "z27, KL 1.23 nats" not in said


def test_interpolation_frames_the_two_real_inputs(said: list[str], tmp_path: Path):
    image = opened(pictures.interpolation_grid(np.zeros((2, 5, 1, 8, 8)), tmp_path / "i.png", "t"))
    assert {"input A", "input B"} <= set(said)
    framed = (np.asarray(image.convert("RGB")) == tuple(bytes.fromhex(pictures.ORANGE[1:]))).all(-1).any(0)
    middle = slice(int(0.4 * len(framed)), int(0.6 * len(framed)))
    assert framed.sum() > 10
    assert (np.flatnonzero(framed).min() < 0.1 * len(framed)) & (np.flatnonzero(framed).max() > 0.9 * len(framed))
    top_only = (np.asarray(image.convert("RGB"))[:, middle] == tuple(bytes.fromhex(pictures.ORANGE[1:]))).all(-1)
    assert not top_only.any()


@pytest.mark.parametrize("method", ["pca", "tsne"])
def test_projection_is_the_same_for_the_same_seed(method: str):
    first, again = (pictures.project(ROWS, method, seed=3, max_rows=60) for _ in range(2))
    assert np.array_equal(first.points, again.points)
    assert np.array_equal(first.rows, again.rows)
    assert not np.array_equal(first.rows, pictures.project(ROWS, method, seed=4, max_rows=60).rows)


def test_pca_projection_is_scikit_learns_and_states_the_variance():
    shown = pictures.project(torch.from_numpy(ROWS))
    pca = PCA(2, svd_solver="full").fit(ROWS)
    assert np.allclose(shown.points, pca.transform(ROWS))
    assert shown.axes[0] == f"first principal component, {100 * pca.explained_variance_ratio_[0]:.1f} % of the variance"


def test_tsne_brings_equal_digits_together():
    shown = pictures.project(ROWS, "tsne")
    labels = DIGITS.target[:200][shown.rows]
    apart = np.linalg.norm(shown.points[:, None] - shown.points, axis=-1) + 1e9 * np.eye(200)
    assert (labels == labels[apart.argmin(axis=1)]).mean() > 0.85


@pytest.mark.parametrize("method", ["pca", "tsne"])
@given(
    size=st.tuples(st.integers(1, 9), st.integers(1, 5)),
    constant=st.booleans(),
    lost=st.sets(st.integers(0, 8)),
    most=st.integers(1, 12),
)
@settings(max_examples=12, deadline=None)
def test_projection_is_finite_for_any_codes(
    method: str, size: tuple[int, int], constant: bool, lost: set[int], most: int
):
    codes = np.ones(size) if constant else np.random.default_rng(0).normal(size=size)
    codes[[row for row in lost if row < len(codes)], 0] = np.nan
    shown = pictures.project(codes, method, max_rows=most)
    assert shown.points.shape == (min(np.isfinite(codes).all(axis=1).sum(), most), 2)
    assert np.isfinite(shown.points).all()
    assert np.isfinite(codes[shown.rows]).all()
    if size[1] <= 2:
        assert np.array_equal(shown.points[:, : size[1]], codes[shown.rows])


def test_an_unknown_projection_is_refused():
    with pytest.raises(ValueError, match="'pca' or 'tsne'"):
        pictures.project(ROWS, "magic")


@pytest.mark.parametrize(
    ("rows", "dimensions", "labels", "names"),
    [
        (200, 8, DIGITS.target[:200], [str(digit) for digit in range(10)]),
        (200, 2, torch.from_numpy(DIGITS.target[:200]), ()),
        (200, 1, DIGITS.target[:200], None),
        (200, 8, None, None),
        (200, 8, np.arange(200) % 23, [f"a rather long class name {number}" for number in range(23)]),
        (200, 8, np.linspace(0, 1, 200), None),
        (1, 8, [3], None),
    ],
    ids=["names", "no names", "one dimension", "no labels", "many classes", "continuous", "one sample"],
)
def test_latent_maps(rows: int, dimensions: int, labels: object, names: object, said: list[str], tmp_path: Path):
    shown = pictures.project(ROWS[:rows, 10 : 10 + dimensions])
    opened(pictures.latent_map(shown.points, labels, names, tmp_path / "m.png", "codes", shown.axes))
    assert {"codes", *shown.axes} <= set(said)
    assert set(names or ()) <= set(said)


def test_unlabelled_codes_have_one_colour(tmp_path: Path):
    points = np.random.default_rng(0).normal(size=(100, 2))
    plain = opened(pictures.latent_map(points, None, None, tmp_path / "a.png", "t", ("z0", "z1")))
    labelled = opened(pictures.latent_map(points, np.arange(100) % 2, None, tmp_path / "b.png", "t", ("z0", "z1")))
    yellow = [
        ((pixels := np.asarray(i.convert("RGB"), int))[..., 0] - pixels[..., 2] > 90).sum() for i in (plain, labelled)
    ]
    assert yellow[0] == 0 < yellow[1]


ERRORS = np.random.default_rng(0).gamma(4, 0.01, 500)


@pytest.mark.parametrize(
    ("errors", "words"),
    [
        (ERRORS, "this model, median 0.0"),
        (np.append(ERRORS, np.nan), ", 1 not finite"),
        (np.append(ERRORS, [50, 60]), "3 beyond 0."),
        (np.ones(5), "this model, median 1.00"),
        (np.full(5, np.nan), "median none, 5 not finite"),
        (torch.tensor([0.25]), "this model, median 0.250"),
    ],
    ids=["gamma", "one lost", "long tail", "constant", "all lost", "one sample"],
)
def test_error_histograms(errors: pictures.Array, words: str, said: list[str], tmp_path: Path):
    labels = np.arange(len(errors)) % 2
    names = ["normal", "anomalous"]
    opened(pictures.error_histogram(errors, tmp_path / "a.png", "t", "nats"))
    assert words in " ".join(said)
    assert "error (nats)" in " ".join(said)
    opened(pictures.error_histogram(errors, tmp_path / "b.png", "t", "nats", errors + 1, labels, names))
    assert any(text.startswith("PCA, median") for text in said)
    assert "normal" in said


def history_of(terms: int) -> dict[str, list[tuple[float, float]]]:
    curve = [(epoch, 100 * 0.5**epoch + (epoch == 9)) for epoch in range(10)]
    return {f"{stage}/term_{number}": curve for number in range(terms) for stage in ("train", "val")}


@pytest.mark.parametrize("terms", [0, 1, 4, 12])
def test_learning_curves_of_any_number_of_terms(terms: int, said: list[str], tmp_path: Path):
    units = {"term_0": "nats"}
    opened(pictures.learning_curves(history_of(terms), tmp_path / "c.png", "t", "val/term_0", units))
    assert {f"term {number}" for number in range(terms)} <= set(said)
    assert terms == 0 or {"nats", "training", "validation", "best epoch, 8"} <= set(said)


@pytest.mark.parametrize(
    "curve", [[(0, 1.0)], [(0, np.nan)], [(0, np.inf), (1, 2.0)], [(3, 0.0), (1, 0.0)], []], ids=str
)
def test_learning_curves_of_odd_values(curve: list[tuple[float, float]], said: list[str], tmp_path: Path):
    opened(pictures.learning_curves({"train/loss": curve, "val/loss": curve, "lr": curve}, tmp_path / "c.png", "t"))
    assert {"t", "loss", "lr"} <= set(said)


@pytest.mark.parametrize("size", [1, 20, 512])
def test_kl_per_dimension(size: int, said: list[str], tmp_path: Path):
    kl = torch.linspace(1, 3, size) * (torch.arange(size) % 2)
    opened(pictures.kl_per_dimension(kl, tmp_path / "k.png", "t", threshold=0.5))
    assert {f"{size // 2} active, KL > 0.5 nats", f"{size - size // 2} inactive", f"{kl.sum():.2f} nats in all"} <= set(
        said
    )


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf])
def test_kl_of_a_collapsed_or_broken_posterior(value: float, said: list[str], tmp_path: Path):
    opened(pictures.kl_per_dimension(np.full(16, value), tmp_path / "k.png", "t"))
    assert {"0 active, KL > 0.01 nats", "16 inactive"} <= set(said)


def test_a_title_is_wrapped_and_dollars_are_dollars(said: list[str], tmp_path: Path):
    title = "VAE on $Digits$: " + "what is shown, of which data and model; " * 4
    image = opened(pictures.sample_grid(IMAGES[:1], tmp_path / "s.png", title))
    assert image.width < 1000
    assert said[0].count("\n") >= 2 or any(text.count("\n") >= 2 for text in said)


def test_the_same_picture_is_the_same_file_from_any_thread(tmp_path: Path):
    def draw(number: int) -> bytes:
        path = tmp_path / f"{number}.png"
        draws: list[Callable[[], Path]] = [
            lambda: pictures.sample_grid(IMAGES[:9], path, "t"),
            lambda: pictures.kl_per_dimension(ROWS[0], path, "t"),
        ]
        return draws[number % 2]().read_bytes()

    alone = [draw(0), draw(1)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(draw, range(2, 6)))
    assert together == alone * 2
