"""Network flows: the made-up ones, and NSL-KDD's files in miniature."""

import hashlib
from pathlib import Path

import pandas as pd
import pytest
import torch

import data
from data import network_traffic
from data.flows import CATEGORICAL, FEATURES, flows
from data.network_traffic import ATTACKS
from lit_ae.errors import UserError


def test_flows_have_the_features_and_the_families() -> None:
    made = flows(3000)
    assert list(made.columns) == [*FEATURES, "kind"]
    assert len(FEATURES) == 41
    assert set(made["kind"]) == {"normal", *ATTACKS}
    assert made.equals(flows(3000))
    assert not made.equals(flows(3000, seed=1))


def test_synthetic_traffic_is_labelled_so_and_trains_on_normal_flows() -> None:
    traffic = data.NetworkTraffic()
    assert traffic.spec.synthetic
    assert traffic.families == () or traffic.families[0] == "normal"
    sizes = traffic.split_sizes
    assert traffic.families == ("normal", "DoS", "Probe", "R2L", "U2R")
    assert sizes["fit"] > 4000
    assert not traffic.rows["fit"].anomaly.any()  # type: ignore[union-attr]
    assert set(traffic.rows["test"].family.tolist()) == {0, 1, 2, 3, 4}  # type: ignore[union-attr]
    schema = traffic.spec.schema
    assert schema is not None
    assert [column.name for column in schema.columns if column.bins] == list(CATEGORICAL)


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """NSL-KDD's three files, made of flows, and their checksums."""
    folder = tmp_path / "NSL-KDD"
    folder.mkdir()
    attack = {"normal": "normal", "DoS": "neptune", "Probe": "satan", "R2L": "guess_passwd", "U2R": "rootkit"}
    sums = {}
    for seed, name in enumerate(network_traffic.FILES):
        made = flows(900, seed)
        made = made.assign(attack=made["kind"].map(attack), difficulty=21).drop(columns="kind")
        if seed:
            made = pd.concat(
                [made, flows(900, 0)[:5].query("kind == 'normal'").assign(attack="normal", difficulty=1)[made.columns]]
            )
        made.to_csv(folder / name, header=False, index=False)
        sums[name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    monkeypatch.setattr(network_traffic, "FILES", sums)
    return str(tmp_path)


def test_the_files_give_normals_to_train_on_and_everything_to_test(files: str) -> None:
    traffic = data.NetworkTraffic(source="KDDTest+", root=files)
    repeated = len(flows(900, 0)[:5].query("kind == 'normal'"))
    assert traffic.split_sizes["test"] == 900 + repeated
    assert traffic.left_out["normal rows that the test table holds too"] == repeated
    normals = int((flows(900, 0)["kind"] == "normal").sum())
    assert sum(traffic.split_sizes[role] for role in ("fit", "tune", "calibrate")) == normals - repeated
    assert not traffic.spec.synthetic
    test = traffic.rows["test"]
    assert test.family is not None
    expected = flows(900, 1)["kind"].map(traffic.families.index).to_numpy()
    assert test.family[:900].equal(torch.from_numpy(expected))
    other = data.NetworkTraffic(source="KDDTest-21", root=files)
    assert other.rows["fit"].raw.shape[1] == 41
    assert other.digest != traffic.digest


def test_numbers_are_scaled_on_training_normals_after_the_logarithm(files: str) -> None:
    traffic = data.NetworkTraffic(source="KDDTest+", root=files)
    at = FEATURES.index("src_bytes")
    raw = traffic.rows["fit"].raw[:, at]
    expected = (raw.log1p() - raw.log1p().mean()) / raw.log1p().std(correction=0)
    feature = traffic.spec.preprocessing.columns.index(at)  # type: ignore[attr-defined]
    torch.testing.assert_close(traffic.split("fit").x[:, feature], expected.float(), atol=1e-5, rtol=1e-4)


def test_a_damaged_file_is_refused_by_name(files: str) -> None:
    with (Path(files) / "NSL-KDD" / "KDDTest+.txt").open("a") as file:
        file.write("0\n")
    with pytest.raises(UserError, match=r"KDDTest\+\.txt is damaged"):
        data.NetworkTraffic(source="KDDTest+", root=files).setup()


def test_what_cannot_be_downloaded_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network_traffic, "MIRRORS", ((tmp_path / "nowhere").as_uri() + "/",))
    with pytest.raises(UserError, match=r"NSL-KDD lacks KDDTrain\+\.txt, KDDTest-21\.txt, and .*not be downloaded"):
        _ = data.NetworkTraffic(source="KDDTest-21", root=str(tmp_path)).spec


def test_an_unknown_source_is_refused() -> None:
    with pytest.raises(
        UserError, match=r"^data\.source is 'kdd', but it must be one of synthetic, KDDTest\+, KDDTest-21"
    ):
        data.NetworkTraffic(source="kdd")  # type: ignore[arg-type]


@pytest.mark.slow
def test_the_real_files() -> None:
    for source, rows, attacks in (("KDDTest+", 22544, 12833), ("KDDTest-21", 11850, 9698)):
        traffic = data.NetworkTraffic(source=source)  # type: ignore[arg-type]
        test = traffic.rows["test"]
        assert test.anomaly is not None
        assert (len(test.raw), int(test.anomaly.sum())) == (rows, attacks)
        assert traffic.left_out["anomalies outside the test rows"] == 58630
