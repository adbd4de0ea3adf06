"""``python -m pipelines.score``: whole or not at all, as the detector says, and on from where it was killed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import lightning as L
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest

from data import NetworkTraffic, readers
from data.readers import TableReader
from lit_ae.detection.detector import Detector
from lit_ae.detection.settings import DetectionSettings
from lit_ae.networks import MLP
from lit_ae.serving.package import package
from lit_ae.variants import Autoencoder
from pipelines import score
from pipelines.models import INSIDE
from tests.pipelines.conftest import Answer
from tests.pipelines.helpers import ROOT


@pytest.fixture(scope="module")
def data():
    flows = NetworkTraffic()
    flows.setup("test")
    return flows


@pytest.fixture(scope="module")
def model(data, tmp_path_factory) -> Path:
    """A packed model with a detector; it was never trained, which is of no matter here."""
    L.seed_everything(0, verbose=False)
    network = Autoencoder(data.spec, latent_dim=4, network=partial(MLP, hidden=[8])).eval()
    roles = (data.split(role).x for role in ("fit", "tune", "calibrate"))
    detector = Detector.fit(network, *roles, DetectionSettings(alpha=0.05, scores=["residual"]))
    folder = tmp_path_factory.mktemp("packed") / "model"
    package(network, data.example(), folder, {}, detector)
    return folder


@pytest.fixture(scope="module")
def frame(data) -> pd.DataFrame:
    return data.spec.schema.decode(data.rows["test"].raw)


@pytest.fixture
def scored(workspace, model, capsys):
    """Scores in this process: ``scored("in.csv", "out.csv")``."""

    def run(*words: object) -> Answer:
        capsys.readouterr()
        try:
            code = score.main([str(model), *map(str, words)])
        except SystemExit as end:
            code = end.code
        return Answer(code, *capsys.readouterr())

    return run


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_answers_are_what_the_detector_says_of_each_row(kind, scored, frame, data, model):
    shuffled = frame[frame.columns[::-1]].assign(note="not the model's")
    shuffled.to_csv("in.csv", index=False) if kind == "csv" else shuffled.to_parquet("in.parquet")
    answer = scored(f"in.{kind}", f"out.{kind}")
    assert answer.code == 0, answer.err
    told = pd.read_csv("out.csv") if kind == "csv" else pd.read_parquet("out.parquet")
    from lit_ae.serving.files import load_detector

    judged = load_detector(model / INSIDE).judge(data.split("test").x)
    np.testing.assert_allclose(told["score"], judged.score, rtol=1e-5)
    np.testing.assert_allclose(told["p_value"], judged.p_value, rtol=1e-3)
    assert told["row"].tolist() == list(range(len(frame)))
    alarms = (told["verdict"] == "anomaly").to_numpy()
    assert abs(int(alarms.sum()) - int(judged.is_anomaly.sum())) <= 1
    assert f"{len(frame):,} rows, {alarms.sum():,} anomalies" in answer.out
    assert told["reasons"][alarms].str.len().min() > 10
    assert sorted(os.listdir()) == [f"in.{kind}", f"out.{kind}"]


def test_pieces_and_parts_change_nothing(scored, frame, monkeypatch):
    frame.to_csv("in.csv", index=False)
    scored("in.csv", "whole.csv")
    in_pieces(monkeypatch)
    scored("in.csv", "pieces.csv")
    whole, pieces = pd.read_csv("whole.csv"), pd.read_csv("pieces.csv")
    pd.testing.assert_frame_equal(whole.drop(columns="reasons"), pieces.drop(columns="reasons"), check_exact=True)
    assert (whole["reasons"].isna() == pieces["reasons"].isna()).all()


def in_pieces(monkeypatch, rows: int = 200) -> None:
    """Tables are read by so many rows."""
    pieces = TableReader.pieces
    cut = lambda self: (f[at : at + rows] for f in pieces(self) for at in range(0, len(f), rows))  # noqa: E731
    monkeypatch.setattr(TableReader, "pieces", cut)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_after_kill_9_the_same_command_goes_on(kind, model, scored, frame, monkeypatch):
    many = pd.concat([frame] * 5, ignore_index=True)
    many.to_csv("in.csv", index=False)
    in_pieces(monkeypatch)
    parts = Path(f"out.{kind}.parts")
    kill_after_two(parts, lambda: score.main([str(model), "in.csv", f"out.{kind}"]))
    kept = {file.name for file in parts.glob("*.parquet")}
    assert len(kept) >= 2
    assert not Path(f"out.{kind}").exists()
    answer = scored("in.csv", f"out.{kind}")
    assert answer.code == 0, answer.err
    assert f"Going on after {len(kept)} parts" in answer.out
    answers = pd.read_csv("out.csv") if kind == "csv" else pd.read_parquet("out.parquet")
    assert answers["row"].tolist() == list(range(len(many)))
    assert answers["score"][: len(frame)].equals(answers["score"][-len(frame) :].reset_index(drop=True))
    assert sorted(os.listdir()) == ["in.csv", f"out.{kind}"]


def kill_after_two(parts: Path, command: Callable[[], int]) -> None:
    """Runs a command in a process of its own, and kills that with -9 when two parts are there."""
    child = os.fork()
    if not child:
        os._exit(command())
    deadline = time.monotonic() + 60
    while len(list(parts.glob("*.parquet"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.005)
    os.kill(child, signal.SIGKILL)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


@pytest.mark.slow
def test_the_command_itself(workspace, model, frame):
    frame.to_csv("in.csv", index=False)
    command = [sys.executable, "-m", "pipelines.score", str(model), "in.csv", "out.csv"]
    done = subprocess.run(command, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=False)
    assert done.returncode == 0
    assert len(pd.read_csv("out.csv")) == len(frame)


def broken(frame: pd.DataFrame, name: str) -> None:
    """Writes a table with a mistake in its last rows."""
    text = frame.to_csv(index=False)
    changes = {
        "lacks.csv": frame.drop(columns="duration").to_csv(index=False),
        "twice.csv": text.replace("src_bytes", "duration", 1),
        "ragged.csv": text + "1,2,3\n",
        "text.csv": text.replace("\n0.", "\nmany.", 1) if "\n0." in text else text,
        "empty.csv": "",
    }
    Path(name).write_text(changes[name])


WRONG = {
    "lacks.csv": "lacks the column(s) 'duration'",
    "twice.csv": "'duration' twice",
    "ragged.csv": "has 3 field(s) instead of 41",
    "text.csv": "'many",
    "empty.csv": "is empty",
}


@pytest.mark.parametrize(("name", "reason"), WRONG.items())
def test_a_table_with_a_mistake_is_refused_in_one_line_and_nothing_stays(name, reason, scored, frame, monkeypatch):
    broken(frame, name)
    in_pieces(monkeypatch)
    answer = scored(name, "out.csv")
    assert answer.code == 2
    assert answer.err.startswith("lit-ae: ")
    assert answer.err.count("\n") == 1
    assert reason in answer.err
    assert os.listdir() == [name]


@pytest.mark.parametrize("name", ["cut.parquet", "cut.csv.gz"])
def test_a_truncated_file_is_refused(name, scored, frame):
    frame.to_parquet(name) if name == "cut.parquet" else frame.to_csv(name, index=False)
    content = Path(name).read_bytes()
    Path(name).write_bytes(content[: len(content) // 2])
    answer = scored(name, "out.parquet")
    assert answer.code == 2
    assert name in answer.err
    assert os.listdir() == [name]


def test_bad_lines_may_be_left_out_and_are_counted(scored, frame):
    Path("in.csv").write_text(frame.to_csv(index=False) + "1,2,3\n")
    answer = scored("in.csv", "out.csv", "--data.bad_rows", "skip")
    assert answer.code == 0, answer.err
    assert "1 left out (lines with too many or too few fields)" in answer.out
    assert len(pd.read_csv("out.csv")) == len(frame)


WORDS = {
    "no file": (("nowhere.csv", "out.csv"), "There is no file nowhere.csv"),
    "unknown format": (("here.xlsx", "out.csv"), "no ending that is known"),
    "unknown output": (("here.csv", "out.xlsx"), "no ending that is known"),
    "itself": (("here.csv", "here.csv"), "is the input itself"),
    "no output": (("here.csv",), "required: output"),
    "no folder": (("here.csv", "no/such/out.csv"), "cannot be written"),
}


@pytest.mark.parametrize(("words", "reason"), WORDS.values(), ids=WORDS.keys())
def test_wrong_words_are_one_line(words, reason, scored, frame):
    frame.to_csv("here.csv", index=False)
    answer = scored(*words)
    assert answer.code == 2
    assert answer.err.count("\n") == 1
    assert reason in answer.err
    assert os.listdir() == ["here.csv"]


def test_a_model_without_a_detector_says_so(data, frame, workspace, capsys):
    network = Autoencoder(data.spec, latent_dim=4, network=partial(MLP, hidden=[8])).eval()
    package(network, data.example(), Path("plain"), {})
    frame.to_csv("in.csv", index=False)
    with pytest.raises(SystemExit) as end:
        score.main(["plain", "in.csv", "out.csv"])
    assert end.value.code == 2
    assert "plain has no detector" in capsys.readouterr().err


def test_help(capsys):
    with pytest.raises(SystemExit) as end:
        score.main(["--help"])
    assert end.value.code == 0
    assert "models:/<name>@<alias>" in " ".join(capsys.readouterr().out.split())


def test_reading_a_long_parquet_file_holds_no_more_than_a_piece(workspace, monkeypatch):
    monkeypatch.setattr(readers, "PIECE", 2000)
    numbers = pa.table({f"c{i}": np.random.default_rng(i).normal(size=60_000) for i in range(10)})
    pa.parquet.write_table(numbers, "long.parquet", row_group_size=2000)
    whole = numbers.nbytes
    del numbers
    before = pa.total_allocated_bytes()  # what other tests still hold
    held = [pa.total_allocated_bytes() - before for _ in TableReader(Path("long.parquet")).pieces()]
    assert len(held) == 30
    assert max(held) < whole / 3
