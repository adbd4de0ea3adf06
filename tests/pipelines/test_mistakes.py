"""A mistake is answered by one line that says what to do and by exit code 2, and leaves nothing behind."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from data import Digits
from lit_ae.errors import UserError
from lit_ae.variants import Autoencoder
from pipelines.checks import check_optimizer
from pipelines.mistakes import explained
from tests.pipelines.helpers import ROOT, SMALL

ON_THE_COMMAND_LINE = {
    # names
    "--model VEA": "Unknown variant 'VEA': did you mean VAE?",
    "--model.latnt_dim 3": "VAE has no option 'latnt_dim': did you mean --model.latent_dim?",
    "--data Digts": "Unknown data set 'Digts': did you mean Digits?",
    "--model.network Cnv": "Unknown network 'Cnv': did you mean Conv?",
    "--model.likelihood Bernouli": "Unknown likelihood 'Bernouli': did you mean Bernoulli?",
    "--model.optimizer Adan": "Unknown optimizer 'Adan': did you mean Adam?",
    "--recipe vae_digit": "Unknown recipe 'vae_digit': did you mean vae_digits?",
    "--traner.max_epochs 3": "did you mean --trainer.max_epochs?",
    "--config nowhere.yaml": "There is no file nowhere.yaml",
    "--config runs:/nothing/config.yaml": "The run nothing at sqlite:///",
    "--resume nothing": "check the id and MLFLOW_TRACKING_URI",
    # the shape of the command
    "word": "'word' is not an option: options begin with --",
    "--model": "--model needs a value: write --model VALUE.",
    "--resume": "--resume needs a value",
    "--data.batch_size --data Digits": "--data.batch_size needs a value",
    # kinds of value
    "--model.latent_dim abc": "--model.latent_dim can't be 'abc': it takes a whole number.",
    "--model.latent_dim 3.5": "--model.latent_dim can't be '3.5': it takes a whole number.",
    "--model.beta LinearWarmup --model.beta.epochs x": "--model.beta.epochs can't be 'x': it takes a number.",
    "--model.optimizer SGD --model.optimizer.lr x": "--model.optimizer.lr can't be 'x': it takes a number.",
    "--model.network.hidden [a]": "--model.network.hidden can't be 'a': it takes a whole number.",
    "--data.binarize dinamic": "--data.binarize can't be 'dinamic': did you mean dynamic? It takes one of none,",
    "--trainer.max_epochs x": "--trainer.max_epochs can't be 'x': it takes a whole number.",
    "--trainer.precision 16-mixd": "--trainer.precision can't be '16-mixd': did you mean 16-mixed? It takes one of",
    "--seed_everything x": "--seed_everything can't be 'x'",
    # values
    "--model.latent_dim 0": "model.latent_dim must be at least 1, not 0.",
    "--data.batch_size 0": "data.batch_size is 0, but it must be 2 or more.",
    "--data.fit_rows 9999": "data.fit_rows is 9999, but there are only 1257 training rows.",
    "--data.symmetric true": "The Bernoulli likelihood needs values in [0, 1], and those of Digits are in [-1.0, 1.0]",
    "--model.beta LinearWarmup --model.beta.epochs 9": "The warm-up of kl takes 9 epochs and the training only 3",
    "--model.learning_rate Cosine --model.learning_rate.warmup_epochs 9": "The warm-up of the learning rate takes 9",
    "--model.optimizer Adam --model.optimizer.lr -1": "The optimizer can't be made: Invalid learning rate: -1.0",
    "--tracking.pictures_every -1": "tracking.pictures_every must be 0 or more",
    "--tracking.output_dir /dev/null/x": "The output directory /dev/null/x cannot be written",
    "--early_stopping.patience 0": "early_stopping.patience must be at least 1",
    # what the trainer would do
    "--trainer.accelerator cuda": "There is no GPU here that PyTorch can use",
    "--trainer.accelerator gpu": "There is no GPU here that PyTorch can use",
    "--trainer.overfit_batches 1": "take the first rows by --data.fit_rows",
    "--trainer.fast_dev_run true": "take --trainer.max_epochs 1",
    "--trainer.max_epochs 0": "a training needs an end",
    "--trainer.max_epochs -1": "a training needs an end",
    "--trainer.val_check_interval 1000": "but an epoch has only",
    "--trainer.limit_val_batches 0": "limit_val_batches must be above 0",
    "--trainer.enable_checkpointing false": "trainer.enable_checkpointing must stay true",
}


def assert_one_line(answer, words: str) -> None:
    assert answer.code == 2, answer
    assert answer.err.startswith("lit-ae: ")
    assert words in answer.err
    assert answer.err.count("\n") == 1
    assert len(answer.err) < 800
    assert answer.out == ""


@pytest.mark.parametrize("line", ON_THE_COMMAND_LINE)
def test_on_the_command_line(line, train, runs, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    before = {*Path().iterdir(), Path("mlflow.db.lock")}
    assert_one_line(train(*line.split()), ON_THE_COMMAND_LINE[line])
    assert runs() == []
    assert {*Path().iterdir()} <= before


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("model: [unclosed\n  a: b", "bad.yaml is not YAML, line 2, column 4: expected"),
        ("model: {class_path: VAE, init_args: {latnt_dim: 3}}", "did you mean --model.latent_dim?"),
        ("modle: {class_path: VAE}", "Unknown option --modle: did you mean --model?"),
        ("model: {class_path: VAE, init_args: {latent_dim: abc}}\ndata: Digits", "--model.latent_dim can't be 'abc'"),
        ("- a\n- b", "must hold sections such as model: and data:, and holds list"),
        ("", "must hold sections such as model: and data:, and holds nothing"),
        ("\x00", "bad.yaml can't be read as YAML"),
    ],
)
def test_in_a_recipe(text, words, train, runs):
    Path("bad.yaml").write_text(text)
    assert_one_line(train("--config", "bad.yaml"), words)
    assert runs() == []


def test_missing_data_is_named_with_what_to_do(train, runs, monkeypatch):
    monkeypatch.setattr("data.mnist.MIRRORS", ("http://127.0.0.1:1/",))
    answer = train("--data", "MNIST", "--data.root", "empty", "--model.network", "MLP")
    assert_one_line(
        answer._replace(err=answer.err[:599]) if len(answer.err) > 599 else answer, "lacks train-images-idx3"
    )
    assert "--data.root or the environment variable LIT_AE_DATA" in answer.err
    assert runs() == []


def test_damaged_data_is_named_with_both_checksums(train, runs):
    folder = Path("root/MNIST/raw")
    folder.mkdir(parents=True)
    for part in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
        (folder / f"{part}-ubyte.gz").write_bytes(b"")
    answer = train("--data", "MNIST", "--data.root", "root")
    assert_one_line(answer, "train-images-idx3-ubyte.gz is damaged")
    assert "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" in answer.err
    assert "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609" in answer.err
    assert runs() == []


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("sqlite:////dev/null/x/mlflow.db", "The tracking store sqlite:////dev/null/x/mlflow.db cannot be used"),
        ("http://127.0.0.1:1", "The tracking server http://127.0.0.1:1 does not answer: start it, or set MLFLOW_TRACK"),
    ],
)
def test_store_that_can_not_be_used(uri, words, train, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    start = time.monotonic()
    assert_one_line(train(), words)
    assert time.monotonic() - start < 10
    assert not Path("outputs").exists()


@pytest.mark.parametrize("words", [["--model", "VEA"], ["--model.latent_dim", "0"]])
def test_run_that_was_made_for_the_command_is_failed(words, train, store, monkeypatch):
    run_id = store.create_run("0").info.run_id
    monkeypatch.setenv("MLFLOW_RUN_ID", run_id)
    answer = train(*words)
    run = store.get_run(run_id)
    assert (answer.code, run.info.status) == (2, "FAILED")
    assert f"lit-ae: {run.data.tags['lit_ae.reason']}\n" == answer.err


def test_resume_of_a_run_that_the_store_does_not_know(train, recipe, runs):
    assert_one_line(train("--config", recipe, "--resume", "nothing"), "There is no run 'nothing'")
    assert runs() == []


def test_from_a_shell_within_two_seconds(process, recipe):
    start = time.monotonic()
    mistaken = process("--config", recipe, "--model.latnt_dim", 3, PYTHONWARNINGS="default")
    out, err = mistaken.communicate()
    assert time.monotonic() - start < 4  # 1 s on a core of its own
    assert (mistaken.returncode, out) == (2, "")
    assert err == "lit-ae: VAE has no option 'latnt_dim': did you mean --model.latent_dim?\n"


def test_nothing_heavy_is_imported_to_see_a_misspelt_name(recipe):
    code = f"""
import sys
from pipelines.command_line import run
try:
    run(print, ["--config", "{recipe}", "--model.latnt_dim", "3"])
except SystemExit:
    print({{"torch", "lightning", "mlflow", "numpy"}} & set(sys.modules))
"""
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_print_config_is_a_recipe(train, runs):
    answer = train("--model.latent_dim", 7, "--print_config")
    printed = yaml.safe_load(answer.out)
    assert answer.code == 0
    assert printed["model"]["init_args"]["latent_dim"] == 7
    assert printed["data"]["init_args"]["batch_size"] == SMALL["data"]["init_args"]["batch_size"]
    Path("printed.yaml").write_text(answer.out)
    assert train("--config", "printed.yaml", "--print_config").out == answer.out
    assert runs() == []


def test_a_user_error_within_another_is_the_reason():
    error = ValueError("a\nlong\nstory")
    error.__cause__ = UserError("This is it.")
    assert str(explained(error)) == "This is it."
    assert str(explained(ValueError("One.\n\n  Two.\n"))) == "One. Two."
    assert str(explained(ValueError())) == "ValueError"


def test_an_optimizer_that_takes_other_parameters_is_refused():
    def picky(parameters):
        raise ValueError("only supports 2D parameters")

    with pytest.raises(UserError, match=r"only supports 2D parameters: change model\.optimizer"):
        check_optimizer(Autoencoder(Digits().spec, optimizer=picky))
