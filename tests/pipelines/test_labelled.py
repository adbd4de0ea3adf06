"""Rules of detection through the command line: each sets its threshold, and labelled_f1 takes a table of labels."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import f1_score

from lit_ae.detection.detector import Detector
from lit_ae.serving.files import load_detector
from pipelines import recalibrate, training
from tests.pipelines.conftest import answered

ROWS = 900
QUICK = ("--data.fit_rows", "null", "--model.likelihood", "Gaussian", "--model.learning_rate", "null")
BRIEF = ("--evaluation.baseline_rows", 0, "--evaluation.bootstrap", 0, "--trainer.max_epochs", 1)


def pumps(rows: int, seed: int) -> pd.DataFrame:
    """Readings of which every tenth is a leak, far from the others."""
    rng = np.random.default_rng(seed)
    state = np.where(np.arange(rows) % 10 == 0, "leak", "fine")
    readings = rng.normal(3, 1, (rows, 4)) + 2.0 * (state == "leak")[:, None] * rng.choice([-1, 1], (rows, 4))
    valve = rng.choice(["open", "shut"], rows)
    return pd.DataFrame(readings, columns=["a", "b", "c", "d"]).assign(valve=valve, state=state)


@pytest.fixture
def csv(workspace: Path) -> Path:
    pumps(ROWS, 0).to_csv(workspace / "pumps.csv", index=False, sep=";")
    return workspace / "pumps.csv"


@pytest.fixture
def tell(train: Any, csv: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Trains on the pumps with more words."""
    monkeypatch.setattr("pipelines.training.draw_portfolio", lambda *_: csv.parent)  # takes most of the time
    table = ("--data", "Table", "--data.path", csv, "--data.delimiter", ";", "--data.label_column", "state")
    return lambda *words: train(*table, "--data.normal", "[fine]", *QUICK, *BRIEF, "--detection.alpha", 0.05, *words)


def labels(path: Path, **more: object) -> list[object]:
    chosen = {"rule": "labelled_f1", "labelled": path, "label_column": "state", "normal": "[fine]", **more}
    return [word for name, value in chosen.items() for word in (f"--detection.{name}", value)]


def detector_of(workspace: Path, run: Any) -> Detector:
    detector = load_detector(workspace / "outputs" / run.info.run_id / "model" / "data" / "autoencoder")
    assert detector is not None
    return detector


def test_labelled_rows_set_the_threshold_with_the_best_f1(tell, runs, csv, workspace, capsys) -> None:
    fresh, known = pumps(200, 1), pd.read_csv(csv, sep=";")
    normals = known[known["state"] == "fine"]
    pd.concat([fresh, normals]).to_csv(workspace / "labelled.csv", index=False, sep=";")
    answer = tell(*labels(workspace / "labelled.csv"), "--evaluation.baseline_rows", 200)
    assert answer.code == 0, answer.err
    assert "untrained" in (workspace / "outputs" / runs()[0].info.run_id / "detection.md").read_text()
    assert "rule labelled_f1, which promises nothing" in answer.out
    (run,) = runs()
    unused = int(run.data.params["data/rows/calibrate"])
    held = int(run.data.params["data/left_out/labelled rows that fit or tune or test hold too"])
    assert held == len(normals) - unused
    assert run.data.metrics["detection/labelled_rows"] == 200 + unused
    assert run.data.metrics["detection/labelled_anomalies"] == 20
    detector = detector_of(workspace, run)
    spec = detector.model.spec
    scores = detector.score(spec.preprocessing.apply(spec.schema.encode(fresh)))
    scores = torch.cat([scores, detector.calibration.scores]).numpy()
    leak = np.append(fresh["state"] == "leak", np.zeros(unused, bool))
    assert f1_score(leak, scores > detector.threshold) == max(f1_score(leak, scores >= one) for one in scores)
    fresh.to_csv(workspace / "normals.csv", index=False)
    words = [run.info.run_id, workspace / "normals.csv", "--output_dir", workspace / "outputs"]
    refused = answered(recalibrate.main, words, capsys)
    assert (refused.code, len(runs())) == (2, 1)
    assert "by the rule labelled_f1, which normal rows alone can't renew" in refused.err


def test_the_table_may_go_while_the_training_runs(tell, runs, workspace, monkeypatch) -> None:
    pumps(200, 1).to_csv(table := workspace / "labelled.csv", index=False, sep=";")
    fit = training.fit

    def fit_without_the_table(*words: Any) -> Any:
        table.unlink()
        return fit(*words)

    monkeypatch.setattr(training, "fit", fit_without_the_table)
    answer = tell(*labels(table))
    assert answer.code == 0, answer.err
    assert runs()[0].data.metrics["detection/labelled_rows"] == 200
    assert not table.exists()


MISTAKES: dict[str, tuple[dict[str, object], str]] = {
    "no table": ({"labelled": "null"}, "needs labelled rows: name a table of them by detection.labelled"),
    "not there": ({"labelled": "gone.csv"}, "gone.csv is not there: say by detection.labelled"),
    "no label column": ({"label_column": "class"}, "has no column 'class': say by detection.label_column which of 'a'"),
    "normal rows alone": ({"normal": "[fine, leak]"}, "gives 40 normal rows and 0 anomalies to calibrate with"),
    "anomalies alone": ({"normal": "[good]"}, "gives 0 normal rows and 40 anomalies to calibrate with"),
    "another rule": ({"rule": "quantile"}, "detection.labelled is for the rule labelled_f1"),
    "a label is missing": ({"labelled": "unlabelled.csv"}, "unlabelled.csv, row 3 has no label in 'state'"),
    "a column is missing": ({"labelled": "short.csv"}, "short.csv lacks the column(s) 'b'"),
    "text among numbers": (
        {"labelled": "text.csv"},
        "text.csv, line 2, column 'a' is 'high', where numbers stand else",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_labelled_rows_opens_no_run(mistake, tell, runs, workspace) -> None:
    fresh = pumps(40, 1)
    tables = {
        "labelled": fresh,
        "unlabelled": fresh.assign(state=fresh["state"].where(fresh.index != 3)),
        "short": fresh.drop(columns="b"),
        "text": fresh.assign(a=fresh["a"].astype(object).where(fresh.index != 0, "high")),
    }
    for name, table in tables.items():
        table.to_csv(workspace / f"{name}.csv", index=False, sep=";")
    more, sentence = MISTAKES[mistake]
    answer = tell(*labels(workspace / "labelled.csv", **more))
    assert answer.code == 2
    assert len(answer.err.strip().splitlines()) == 1
    assert sentence in answer.err
    assert runs() == []


RULES: dict[str, tuple[tuple[object, ...], str]] = {
    "quantile": ((), "rule quantile, which promises nothing"),
    "contamination": (("--detection.contamination", 0.2), "rule contamination, which promises nothing"),
    "sigma": ((), "rule sigma, which promises nothing"),
    "fdr": (("--detection.alpha", 0.1), "at most 0.1 of the alarms are false"),
    "conformal": (("--detection.alarms_per_day", 100, "--detection.rows_per_day", 1000), "at most 0.1 of normal rows"),
}


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_sets_the_threshold_of_its_name(rule, tell, runs, workspace) -> None:
    words, said = RULES[rule]
    answer = tell("--detection.rule", rule, *words)
    assert answer.code == 0, answer.err
    assert said in answer.out
    (run,) = runs()
    detector = detector_of(workspace, run)
    above = float((detector.calibration.scores > detector.threshold).double().mean())
    shares = {"quantile": 0.05, "contamination": 0.2, "fdr": 0.1, "conformal": 0.1}
    assert above == pytest.approx(shares.get(rule, above), abs=0.02)
    assert detector.threshold == pytest.approx(detector.thresholds()[rule])
    assert run.data.metrics["detection/threshold"] == pytest.approx(detector.threshold)


def test_a_budget_that_few_rows_cannot_keep_is_refused_with_one_that_they_can(tell, runs) -> None:
    for budget in (("alpha", 0.001), ("alarms_per_day", 1)):
        per_day = ("--detection.rows_per_day", 1000) if budget[0] == "alarms_per_day" else ()
        refused = tell(f"--detection.{budget[0]}", budget[1], *per_day)
        assert refused.code == 2
        assert "calibration rows can't promise that 0.001 of normal rows alarm at most" in refused.err
        assert "give 500 normal rows to calibrate with" in refused.err
        (typed,) = re.findall(rf"set (--detection\.{budget[0]} [\d.]+)", refused.err)
        accepted = tell(*typed.split(), *per_day, "--detection.scores", "[discriminator]")
        assert "discriminator, which this model on this data does not have" in accepted.err
