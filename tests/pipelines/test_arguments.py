"""A misspelt option, or a wrong choice, is answered with the nearest right one before anything heavy is imported."""

import argparse
import subprocess
import sys

import pytest

from pipelines import (
    adapt,
    benchmark,
    compare,
    evaluate,
    feature_network,
    gallery,
    monitor,
    promote,
    recalibrate,
    results,
    score,
    serve,
    sync,
    tour,
    variants,
)
from pipelines.arguments import OneLineParser
from tests.pipelines.conftest import answered
from tests.pipelines.helpers import ROOT

WRONG = {
    (score, "model in.csv out.csv --reason 2"): "Unknown option --reason: did you mean --reasons?",
    (score, "--delimiter=;"): "Unknown option --delimiter: did you mean --data.delimiter?",
    (score, "in.csv --data.bad_rows refse"): "--data.bad_rows can't be 'refse': did you mean refuse? It takes one of",
    (score, "model in.csv out.csv -x"): "Unrecognized arguments: -x: see python -m pipelines.score --help.",
    (monitor, "model --imput in.csv"): "Unknown option --imput: did you mean --input?",
    (monitor, "--qqq"): "Unknown option --qqq: see --help.",
    (recalibrate, "model in.csv --alhpa 0.1"): "Unknown option --alhpa: did you mean --alpha?",
    (recalibrate, "--data.bad_rows=1 in.csv"): "--data.bad_rows can't be '1': it takes one of refuse, skip.",
    (adapt, "model in.csv --epoch=3"): "Unknown option --epoch: did you mean --epochs?",
    (evaluate, "model --data Digits --evaluation.nll_sample 3"): "did you mean --evaluation.nll_samples?",
    (evaluate, "model --dat Digits"): "Unknown option --dat: did you mean --data?",
    (compare, "one two --resample 100"): "Unknown option --resample: did you mean --resamples?",
    (compare, "one two --data Digits --data.norml [1]"): "did you mean --data.normal?",
    (promote, "digits --forced --reason why"): "Unknown option --forced: did you mean --force?",
    (promote, "digits --environment proces"): "--environment can't be 'proces': did you mean process?",
    (serve, "model --prot 80"): "Unknown option --prot: did you mean --port?",
    (benchmark, "skab --wirte README.md"): "Unknown option --wirte: did you mean --write?",
    (feature_network, ""): "The following arguments are required: data: see python -m pipelines.feature_network",
    (gallery, "--see 3"): "Unknown option --see: did you mean --seed?",
    (results, "vae_mnist --seeds one"): "Argument --seeds: invalid int value: 'one': see",
    (sync, "--outptu_dir x"): "Unknown option --outptu_dir: did you mean --output_dir?",
    (tour, "--wirte README.md"): "Unknown option --wirte: did you mean --write?",
    (variants, "vae_mnist --sede 1"): "Unknown option --sede: did you mean --seeds?",
}


@pytest.mark.parametrize(("asked", "sentence"), WRONG.items(), ids=[f"{m.__name__} {words}" for m, words in WRONG])
def test_the_nearest_right_name_is_said_in_one_line(asked, sentence, workspace, capsys):
    command, words = asked
    answer = answered(command.main, words.split(), capsys)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith("lit-ae: ")
    assert answer.err.count("\n") == 1
    assert sentence in answer.err


def test_a_text_may_begin_as_an_option_does(capsys):
    job = promote.read(["digits", "--force", "--reason", "-- as agreed --"])
    assert job.reason == "-- as agreed --"


def test_after_two_dashes_a_word_is_no_option():
    parser = OneLineParser(prog="any")
    parser.add_argument("input")
    asked = parser.parse_args(["--", "--odd.csv"], argparse.Namespace())
    assert asked.input == "--odd.csv"


def test_pytorch_is_not_waited_for():
    code = (
        "import sys\nfrom pipelines.score import main\n"
        "try: main(['--reason', '2'])\n"
        "finally: assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, done.stderr) == (2, "lit-ae: Unknown option --reason: did you mean --reasons?\n")
