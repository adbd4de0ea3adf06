"""The benchmark of the variants: every variant is in it, the ratios are right, and a missing pythae is said."""

import json
import sys
from pathlib import Path

import pytest

from benchmarks import contenders, variants
from benchmarks.contenders import Rate
from lit_ae.variants import __all__ as every_variant


@pytest.fixture
def digits(monkeypatch: pytest.MonkeyPatch, workspace: Path) -> list[str]:
    """A short training on data that needs no download, and a network that fits it."""
    monkeypatch.setattr(contenders, "DATA", "--data=Digits")
    monkeypatch.setattr(variants, "prepare", lambda: None)
    monkeypatch.setattr(variants, "NETWORKS", {"MLP": "--model.network MLP --model.network.hidden [8]"})
    return ["--rows", "1000", "--batch-size", "32", "--repetitions", "1"]


def test_every_variant_is_in_it() -> None:
    assert {name.partition(",")[0] for name in variants.CASES} == set(every_variant)


def test_ratios_are_to_the_plain_one_of_the_same_network_and_to_pythaes() -> None:
    rates = {"Autoencoder": (100, 10), "VAE": (80, 20), "pythae's VAE": (40, 30), "Autoencoder, Transformer": (10, 90),
             "MaskedAutoencoder": (15, 60)}  # fmt: skip
    lines = variants.table({name: [Rate(*rate)] * 3 for name, rate in rates.items()})
    assert "| VAE | 80 | 0.80 | 0.50 | 40 | 2.00 | 1.50 |" in lines
    assert "| MaskedAutoencoder | 15 | 1.50 | 1.50 |  |  |  |" in lines
    assert len(lines) == 2 + 4


def test_a_tiny_run_times_the_plain_one_too_and_says_that_pythae_is_left_out(
    digits: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert variants.main(["FactorVAE", *digits]) == 0
    printed = capsys.readouterr().out
    assert "| Autoencoder | " in printed
    assert "| FactorVAE | " in printed
    assert "pythae is left out" in printed


def test_pythaes_process_is_given_the_same_rows_and_sizes(
    digits: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "stands_for_pythae.py"
    script.write_text(
        "import json, sys, numpy as np\n"
        "x = np.load(sys.argv[2], allow_pickle=False)\n"
        "json.dump([sys.argv[1], *sys.argv[3:], str(x.dtype), *x.shape], open(sys.argv[0] + '.json', 'w'))\n"
        "print('noise')\nprint(json.dumps([2000.0, 5.0]))\n"
    )
    monkeypatch.setattr(variants, "SCRIPT", script)
    monkeypatch.setattr(variants, "require_pythae", lambda python: None)
    assert variants.main(["Autoencoder", "--pythae", sys.executable, *digits]) == 0
    assert "| 2,000 |" in capsys.readouterr().out
    told = json.loads(script.with_name(script.name + ".json").read_text())
    assert told[:3] == ["AE", "--latent-dim", "32"]
    assert told[told.index("--hidden") :] == [
        "--hidden",
        "512",
        "256",
        "--adversary",
        "128",
        "128",
        "float32",
        1000,
        64,
    ]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--pythae", "no_such_python"], "no_such_python can't import pythae"),
        (["NoVariant"], "Unknown variant 'NoVariant'"),
        (["--rows", "100"], "steps are warm-up"),
    ],
)
def test_mistakes_are_one_line(
    words: list[str], sentence: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(variants, "prepare", lambda: None)
    with pytest.raises(SystemExit) as stopped:
        variants.main(words)
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1
