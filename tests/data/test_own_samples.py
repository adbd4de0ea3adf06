"""Images in folders and NumPy files of one's own."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

import data
from lit_ae.errors import UserError

RNG = np.random.default_rng(0)


def image(path: Path, value: int | None = None, size: int = 12) -> None:
    path.parent.mkdir(exist_ok=True)
    pixels = RNG.integers(0, 256, (size, size, 3)) if value is None else np.full((size, size, 3), value)
    Image.fromarray(pixels.astype(np.uint8)).save(path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(120):
        image(tmp_path / ("good" if number % 3 else "torn") / f"{number}.png")
    return tmp_path


@pytest.mark.parametrize(("colours", "channels"), [("grey", 1), ("rgb", 3)])
def test_folders_are_classes(folder: Path, colours: Any, channels: int) -> None:
    images = data.Images(str(folder), side=8, colours=colours)
    assert images.spec.shape == (channels, 8, 8)
    assert images.spec.classes == ("good", "torn")
    assert set(images.rows) == {"fit", "tune", "test"}
    assert sum(images.split_sizes.values()) == 120
    assert sum(int((rows.y == 1).sum()) for rows in images.rows.values()) == 40
    x = images.split("fit").x
    assert 0 <= x.min() < x.max() <= 1


def test_a_class_may_be_normal(folder: Path) -> None:
    images = data.Images(str(folder), side=8, normal=["good"])
    assert set(images.rows) == {"fit", "tune", "calibrate", "test"}
    assert images.families == ("good", "torn")
    assert not images.rows["fit"].anomaly.any()  # type: ignore[union-attr]
    left = images.left_out["anomalies outside the test rows"]
    assert sum(images.split_sizes.values()) == 120 - left
    assert int(images.rows["test"].anomaly.sum()) == 40 - left  # type: ignore[union-attr]


def test_images_without_folders_have_no_classes_and_keep_their_grey(tmp_path: Path) -> None:
    for number in range(60):
        image(tmp_path / f"{number}.jpg", value=number * 4)
    images = data.Images(str(tmp_path), side=4)
    assert images.spec.classes == ()
    assert set(images.rows) == {"fit", "tune", "calibrate", "test"}
    greys = torch.cat([rows.raw.flatten(1)[:, 0] for rows in images.rows.values()])
    assert sorted(greys.tolist()) == pytest.approx([number * 4 for number in range(60)], abs=3)


def test_an_image_that_cannot_be_read_is_refused_or_skipped_and_counted(folder: Path) -> None:
    (folder / "good" / "0.png").write_bytes(b"no image")
    whole = (folder / "good" / "1.png").read_bytes()
    (folder / "good" / "1.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=r"good/0\.png is no image that can be read: .*data\.bad_files skip"):
        data.Images(str(folder)).setup()
    images = data.Images(str(folder), bad_files="skip")
    images.setup()
    assert images.left_out["images that could not be read"] == 2
    assert sum(images.split_sizes.values()) == 119


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"path": "nowhere"}, r"nowhere is no folder: say by data\.path"),
        ({"path": "."}, r"holds no image: their names must end in \.png"),
        ({"side": 3}, r"data\.side is 3, but it must be 4 or more"),
        ({"colours": "red"}, r"data\.colours is 'red', but it must be one of grey, rgb"),
        (
            {"normal": ["fine"]},
            r"data\.normal is \['fine'\], but it must name some of the classes, not all \(good, torn",
        ),
        ({"test_share": 1.0}, r"data\.tune_share, calibrate_share and test_share"),
    ],
)
def test_mistakes_about_images(folder: Path, workspace: Path, options: dict[str, Any], sentence: str) -> None:
    path = str(folder / "empty") if options.get("path") == "." else str(folder)
    (folder / "empty").mkdir()
    chosen = {"path": path, **{name: value for name, value in options.items() if value != "."}}
    with pytest.raises(UserError, match=sentence):
        data.Images(**chosen).setup()


def saved(folder: Path, values: Any, name: str = "x.npy") -> str:
    np.save(folder / name, values)
    return str(folder / name)


@pytest.mark.parametrize(
    ("shape", "kind"), [((90, 5), "table"), ((90, 6, 5), "series"), ((90, 1, 8, 8), "image")]
)  # fmt: skip
def test_arrays_of_every_kind(tmp_path: Path, shape: tuple[int, ...], kind: str) -> None:
    values = RNG.normal(3, 2, shape)
    arrays = data.Arrays(saved(tmp_path, values))
    assert (arrays.spec.shape, arrays.spec.kind) == (shape[1:], kind)
    raw, x = arrays.rows["fit"].raw, arrays.split("fit").x
    torch.testing.assert_close(arrays.spec.preprocessing.invert(x).double(), raw.double(), atol=1e-5, rtol=1e-5)
    if kind == "image":
        assert (x.min().item(), x.max().item()) == pytest.approx((0, 1), abs=1e-6)
    else:
        assert x.flatten(0, -2).mean(0).abs().max() < 1e-5
    assert sum(arrays.split_sizes.values()) == 90


def test_labels_of_arrays_may_be_text(tmp_path: Path) -> None:
    labels = saved(tmp_path, np.array(["a", "b", "b"] * 40), "y.npy")
    arrays = data.Arrays(saved(tmp_path, RNG.normal(size=(120, 3))), labels, normal=["b"])
    assert arrays.families == ()
    assert arrays.rows["test"].anomaly is not None
    assert arrays.families == arrays.spec.classes == ("a", "b")


REFUSED: dict[str, tuple[Any, dict[str, Any], str]] = {
    "objects": (np.array([{"a": 1}], dtype=object), {}, r"x\.npy holds no array that can be read: .*pickled"),
    "text": (np.array([["a"]]), {}, r"x\.npy holds <U1, not numbers"),
    "one dimension": (np.zeros(5), {}, r"x\.npy has the shape \[5\], but it must be \(N, D\)"),
    "another kind": (np.zeros((5, 2)), {"kind": "image"}, r"x\.npy has the shape \[5, 2\]"),
    "no such kind": (np.zeros((5, 2)), {"kind": "sound"}, r"data\.kind is 'sound'"),
    "empty": (np.zeros((0, 2)), {}, r"x\.npy holds no table at all"),
    "NaN": (np.array([[1.0], [np.nan], [np.inf]]), {}, r"x\.npy, row 1 holds NaN .* so do 2 in all"),
    "too few": (np.zeros((1, 2)), {}, r"Arrays has too few samples to fit with"),
}


@pytest.mark.parametrize("mistake", REFUSED)
def test_mistakes_about_arrays(tmp_path: Path, mistake: str) -> None:
    values, options, sentence = REFUSED[mistake]
    with pytest.raises(UserError, match=sentence):
        data.Arrays(saved(tmp_path, values), **options).setup()


def test_labels_must_be_as_many_as_samples(tmp_path: Path) -> None:
    labels = saved(tmp_path, np.zeros(4), "y.npy")
    with pytest.raises(UserError, match=r"y\.npy has the shape \[4\], but it must hold one label for each of the 5"):
        data.Arrays(saved(tmp_path, np.zeros((5, 2))), labels).setup()


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=200), cut=st.integers(0, 200))
def test_whatever_a_numpy_file_holds_it_is_read_or_refused(tmp_path: Path, content: bytes, cut: int) -> None:
    good = Path(saved(tmp_path, np.arange(12.0).reshape(6, 2))).read_bytes()
    path = tmp_path / "fuzzed.npy"
    path.write_bytes(good[:cut] + content)
    try:
        sizes = data.Arrays(str(path)).split_sizes
    except UserError as refusal:
        sizes = {"refused": str(refusal).count("fuzzed") + str(refusal).count("too few")}
    assert sum(sizes.values()) >= 1
