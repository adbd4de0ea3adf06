"""Strings through the commands: a text file and molecules, trained, judged, drawn and packed."""

from pathlib import Path

import mlflow
import pandas as pd
import pytest
import yaml
from mlflow.entities import Run
from PIL import Image

from pipelines import score
from tests.pipelines.conftest import answered
from tests.pipelines.helpers import SMALL

MOLECULES = ["C" * carbons + end for carbons in range(1, 16) for end in ("O", "N", "Cl")]
QUICKLY = ("--trainer.max_epochs", 1, "--evaluation.probe_rows", 0)
FIGURES = ("token_accuracy", "exact", "reconstruction", "elbo")


@pytest.fixture
def strings_recipe(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LIT_AE_CACHE", str(workspace / "cache"))
    model = SMALL["model"]["init_args"] | {
        "network": {"class_path": "lit_ae.networks.Recurrent", "init_args": {"hidden": 12, "embedding": 6}},
        "likelihood": "lit_ae.likelihoods.Categorical",
    }
    data = {"class_path": "data.SMILES", "init_args": {"path": "molecules.txt", "batch_size": 16}}
    changed = {"model": {**SMALL["model"], "init_args": model}, "data": data}
    path = workspace / "strings.yaml"
    path.write_text(yaml.safe_dump({**SMALL, **changed, "evaluation": {"nll_samples": 2, "drawn_strings": 20}}))
    (workspace / "molecules.txt").write_text("".join(f"{one}\n" for one in [*MOLECULES, "C(C"]))
    return path


def test_molecules_are_trained_judged_drawn_and_packed(strings_recipe: Path, train, runs) -> None:
    answer = train("--config", strings_recipe, "--trainer.max_epochs", 2, "--tracking.pictures_every", 1)
    assert answer.code == 0, answer.err
    assert "1 strings that are no valid SMILES" in answer.out
    (run,) = runs()
    figures = run.data.metrics
    assert {f"test/{name}" for name in (*FIGURES, "validity", "logp_r2", "valid_reconstructions")} <= set(figures)
    assert {"pca/token_accuracy", "random/exact", "random/reconstruction", "ngrams/validity"} <= set(figures)
    assert figures["random/validity"] == 1
    assert figures["random/novelty"] == 0
    assert "test/mse" not in figures
    assert run.data.params["data/left_out/strings that are no valid SMILES"] == "1"
    folder = next(Path("outputs").glob("*/pictures"))
    drawn = {path.name for path in folder.iterdir() if min(Image.open(path).size) > 100}
    assert {"reconstructions.png", "interpolations.png", "samples.png", "kl.png", "errors.png"} <= drawn
    assert {"molecules.png", "sampled_molecules.png", "latent_pca_logp.png", "latent_tsne_logp.png"} <= drawn
    served = mlflow.pyfunc.load_model(f"runs:/{run.info.run_id}/model")
    assert served.predict(["OCC"], params={"output": "latent"}).shape == (1, 3)


def test_a_text_file_is_trained_by_a_transformer(strings_recipe: Path, train, runs) -> None:
    Path("lines.txt").write_text("".join(f"{one}\n" for one in MOLECULES))
    network = ("--model.network", "lit_ae.networks.Transformer", "--model.network.width", 8)
    data = ("--data", "data.Sequences", "--data.path", "lines.txt", "--data.batch_size", 16)
    answer = train("--config", strings_recipe, "--model", "Autoencoder", *network, *data, *QUICKLY)
    assert answer.code == 0, answer.err
    (run,) = runs()
    assert {"test/token_accuracy", "test/exact", "random/exact"} <= set(run.data.metrics)
    assert not {"test/validity", "test/logp_r2"} & set(run.data.metrics)
    served = mlflow.pyfunc.load_model(f"runs:/{run.info.run_id}/model")
    assert isinstance(served.predict(["CCO"])[0], str)


def test_unusual_molecules_are_detected_where_some_are_kept_to_calibrate(
    strings_recipe: Path, train, runs, capsys
) -> None:
    shares = ("--data.calibrate_share", 0.4, "--detection.alpha", 0.2, "--detection.members", 2)
    answer = train("--config", strings_recipe, *shares, *QUICKLY)
    assert answer.code == 0, answer.err
    (run,) = runs()
    assert run.data.metrics["detection/calibration_rows"] == int(run.data.params["data/rows/calibrate"]) > 9
    Path("asked.csv").write_text("".join(f"{one}\n" for one in ["smiles", "OCC", *["N#CC#N", "ClC(Cl)(Cl)Cl"] * 5]))
    scored = answered(score.main, [run.info.run_id, "asked.csv", "answers.csv"], capsys)
    assert scored.code == 0, scored.err
    frame = pd.read_csv("answers.csv")
    assert len(frame) == 11
    alarms = frame[frame["verdict"] == "anomaly"]
    assert len(alarms)
    assert alarms["reasons"].str.fullmatch(r"(place \d+ is \S+ and not \S+ \(\d+%\)(; )?)+").all()
    served = mlflow.pyfunc.load_model(f"runs:/{run.info.run_id}/model").predict(["CCO"])
    assert served["score"][0] == pytest.approx(frame["score"][0])
    Path("asked.csv").write_text("smiles,other\nC(C,1\n")
    assert "asked.csv has 2 columns, and the model takes strings" in refusal(run, capsys)
    Path("asked.csv").write_text("smiles\nCC\nC(C\n")
    assert "asked.csv: Row 1 is no valid SMILES ('C(C')" in refusal(run, capsys)


def refusal(run: Run, capsys) -> str:
    """Why the molecules can't be scored."""
    answer = answered(score.main, [run.info.run_id, "asked.csv", "refused.csv"], capsys)
    assert (answer.code, Path("refused.csv").exists()) == (2, False)
    return answer.err


@pytest.mark.parametrize(
    ("content", "words", "sentence"),
    [
        (b"", (), "molecules.txt holds no valid SMILES"),
        (b"not one\n", (), "molecules.txt holds no valid SMILES"),
        (b"CCO\n\xff\xfe\n", (), "line 2, byte 1 is not UTF-8"),
        (b"\xff\xfeC\x00", (), "is UTF-16: save it as UTF-8"),
        (b"\x1f\x8b\x08cut", (), "is no whole gzip file"),
        (b"CCO\n", ("--data.path", "absent.txt"), "absent.txt can't be read"),
        (b"CCO\n", ("--data.notation", "inchi"), "inchi"),
        (b"CCO\n", (), "1 distinct strings are too few"),
        (b"CCO\n", ("--model.likelihood", "Gaussian"), "distinct strings are too few"),
    ],
)
def test_a_bad_file_is_one_sentence_and_no_run(strings_recipe: Path, train, runs, content, words, sentence) -> None:
    Path("molecules.txt").write_bytes(content)
    answer = train("--config", strings_recipe, *words)
    assert answer.code == 2
    assert sentence in answer.err
    assert answer.err.count("\n") == 1
    assert runs() == []


def test_numbers_networks_and_likelihoods_are_refused(strings_recipe: Path, train, runs) -> None:
    for words, sentence in (
        (("--model.likelihood", "Gaussian"), "use --model.likelihood Categorical"),
        (("--model.network", "MLP"), "use --model.network Recurrent or Transformer"),
        (("--model.corruption", "GaussianNoise"), "use --model.corruption TokenDropout"),
    ):
        answer = train("--config", strings_recipe, *words)
        assert answer.code == 2
        assert sentence in answer.err
    assert runs() == []
