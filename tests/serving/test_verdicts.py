"""The verdict of a served model: score, p-value, verdict and reasons in the user's own terms."""

from functools import partial

import mlflow
import numpy as np
import pandas as pd
import pytest
import torch
from mlflow.exceptions import MlflowException

from lit_ae.detection.detector import Detector
from lit_ae.detection.settings import DetectionSettings
from lit_ae.networks import MLP
from lit_ae.preprocessing import Tabular
from lit_ae.schema import Column, Schema
from lit_ae.serving.files import load_detector, save
from lit_ae.serving.frames import Frame, read_frame
from lit_ae.serving.package import package
from lit_ae.serving.verdicts import verdicts, verdicts_of_each
from lit_ae.spec import DataSpec
from lit_ae.variants import Autoencoder
from tests.detection.conftest import trained

SCHEMA = Schema(
    [
        Column("pressure", "numeric", "float64", 0.0, 9.0),
        Column("flow", "numeric", "float64", 0.0, 9.0),
        Column("valve", "categorical", "string", categories=("open", "shut")),
    ]
)
WAY = Tabular(bins=[0, 0, 3], centre=[5.0, 5.0, 0.0], scale=[2.0, 2.0, 1.0])


def plant(rows: int, seed: int) -> pd.DataFrame:
    """Flow follows pressure where the valve is open."""
    random = np.random.default_rng(seed)
    pressure, is_open = random.uniform(1, 9, rows), random.random(rows) < 0.5
    flow = np.where(is_open, pressure, 1.0) + 0.1 * random.normal(size=rows)
    return pd.DataFrame({"pressure": pressure, "flow": flow, "valve": np.where(is_open, "open", "shut")})


def packed(spec: DataSpec, directory, members: int, rows) -> tuple[Detector, str]:
    x = [rows(count, seed) for seed, count in enumerate((1500, 400, 800))]
    models = []
    for member in range(members):
        torch.manual_seed(member)
        models.append(trained(Autoencoder(spec, latent_dim=2, network=partial(MLP, hidden=[16])), x[0]))
    detector = Detector.fit(models, *x, DetectionSettings(alpha=0.02, bank_size=200))
    example = plant(3, 5) if spec.schema else spec.preprocessing.invert(x[0][:3]).numpy()
    package(detector.model, example, directory / "model", {}, detector)
    return detector, str(directory / "model")


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    spec = DataSpec("Plant", "table", (WAY.features,), WAY, schema=SCHEMA)
    return packed(spec, tmp_path_factory.mktemp("table"), 2, lambda n, seed: WAY.apply(SCHEMA.encode(plant(n, seed))))


def test_a_verdict_comes_back_unasked_and_is_the_detectors(table):
    detector, directory = table
    frame = plant(700, 8)
    answer = mlflow.pyfunc.load_model(directory).predict(frame)
    judged = detector.judge(WAY.apply(SCHEMA.encode(frame)))
    assert list(answer) == ["score", "p_value", "verdict", "reasons"]
    assert np.array_equal(answer["score"], judged.score.numpy())
    assert np.array_equal(answer["p_value"], judged.p_value.numpy())
    assert np.array_equal(answer["verdict"] == "anomaly", judged.is_anomaly.numpy())
    assert answer["reasons"][answer["verdict"] == "normal"].eq("").all()


def test_reasons_are_in_the_users_units_and_words(table):
    _, directory = table
    frame = pd.DataFrame({"pressure": [8.0, 8.0], "flow": [1.0, 8.0], "valve": ["open", "ajar"]})
    answer = mlflow.pyfunc.load_model(directory).predict(frame, params={"output": "verdict"})
    assert answer["verdict"].tolist() == ["anomaly", "anomaly"]
    assert "flow is 1 and not" in answer["reasons"][0]
    assert "valve is (unseen) and not open" in answer["reasons"][1]
    frame = pd.DataFrame({"pressure": [np.nan, 8.0], "flow": [1.0, 1e30], "valve": ["open", "open"]})
    missing, huge = mlflow.pyfunc.load_model(directory).predict(frame, params={"output": "verdict"})["reasons"]
    assert "pressure is missing and not" in missing
    assert huge.startswith("flow is 1e+30, beyond what training has seen, and not")
    assert "valve is open and hardly goes with the rest" in missing + huge


def test_other_outputs_are_there_for_the_asking(table):
    detector, directory = table
    frame = plant(5, 9)
    codes = mlflow.pyfunc.load_model(directory).predict(frame, params={"output": "latent"})
    expected = detector.model.encode(WAY.apply(SCHEMA.encode(frame)))
    np.testing.assert_allclose(codes, expected.numpy(), rtol=1e-5, atol=1e-6)


def test_the_detector_on_disk_scores_the_same_bits(table, tmp_path):
    from pathlib import Path

    detector, directory = table
    restored = load_detector(Path(directory) / "data" / "autoencoder")
    x = WAY.apply(SCHEMA.encode(plant(600, 11)))
    assert len(restored.witnesses) == 2
    assert torch.equal(restored.score(x), detector.score(x))
    assert restored.threshold == detector.threshold
    save(restored.model, tmp_path / "alone")
    assert load_detector(tmp_path / "alone") is None


def test_a_model_of_windows_does_not_score_the_warm_up(tmp_path):
    spec = DataSpec("Windows", "series", (4, WAY.features), WAY, schema=SCHEMA)

    def windows(count, seed):
        return WAY.apply(SCHEMA.encode(plant(count, seed))).unfold(0, 4, 1).transpose(1, 2).contiguous()

    _, directory = packed(spec, tmp_path, 1, windows)
    frame = plant(30, 3)
    frame.loc[20, "flow"] = 60.0
    answer = mlflow.pyfunc.load_model(directory).predict(frame)
    assert answer["verdict"][:3].eq("not scored").all()
    assert answer["score"].isna().tolist() == [True] * 3 + [False] * 27
    assert answer["verdict"][20] == "anomaly"
    assert "flow is 60, beyond what training has seen, and not" in answer["reasons"][20]
    before = mlflow.pyfunc.load_model(directory).predict(frame[:20])
    assert before["score"].equals(answer["score"][:20])


def test_a_model_without_a_detector_gives_no_verdict(autoencoder):
    raw = np.zeros((1, 1, 28, 28), np.float32)
    with pytest.raises(MlflowException, match="has no detector: train it on data that say what is normal"):
        autoencoder.loaded.predict(raw, params={"output": "verdict"})


def test_frames_that_are_judged_together_get_what_each_gets_alone(table):
    detector, _ = table
    frames = [read_frame(plant(rows, seed), detector.model.spec, SCHEMA) for rows, seed in ((1, 1), (300, 2), (7, 3))]
    together = verdicts_of_each(detector, frames)
    for frame, said in zip(frames, together, strict=True):
        pd.testing.assert_frame_equal(said, verdicts(detector, frame), check_exact=True)


def test_windows_of_two_frames_do_not_mix():
    first = Frame(torch.arange(6.0).view(3, 2), torch.tensor([[0, 1], [1, 2]]))
    joined = Frame.joined([first, Frame(10 + torch.arange(4.0).view(2, 2), torch.tensor([[0, 1]]))])
    begins = joined.answer(lambda windows: windows[:, 0, 0])
    assert np.array_equal(begins, [np.nan, 0, 2, np.nan, 10], equal_nan=True)
