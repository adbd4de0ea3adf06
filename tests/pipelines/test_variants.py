"""The table of all variants: what stands in a row, and that every variant has one."""

from types import SimpleNamespace

import pytest

from lit_ae.variants import __all__ as every_variant
from pipelines import variants
from pipelines.command_line import RECIPES
from pipelines.results import marks


def run_of(metrics, variant="Autoencoder"):
    tags = {"variant": variant, "network": "MLP"}
    return SimpleNamespace(data=SimpleNamespace(metrics=metrics, params={"model/latent_dim": "32"}, tags=tags))


def test_every_variant_has_a_recipe_in_it():
    texts = [(RECIPES / f"{recipe}.yaml").read_text() for recipe in variants.RECIPES]
    assert [name for name in every_variant if not any(f"variants.{name}\n" in text for text in texts)] == []
    assert all("class_path: data.MNIST\n" in text for text in texts)


def test_a_row_holds_mean_spread_and_its_own_figures():
    sparse = [run_of({"test/mse": m, "test/l0": 32.0, "test/dead_units": d}, "SparseAutoencoder")
              for m, d in ((0.004, 0.001), (0.006, 0.003))]  # fmt: skip
    plain = [run_of({"test/mse": 0.01, "pca/mse": 0.0168, "pca/linear_probe": 0.9})] * 2
    head, _, of_plain, of_sparse, of_pca = variants.markdown({variants.PLAIN: plain, "sparse_mnist": sparse})
    assert head.count("|") == of_plain.count("|") == of_sparse.count("|") == of_pca.count("|")
    assert of_sparse.startswith("| SparseAutoencoder (`sparse_mnist`) | MLP | 32 | 0.005 ± 0.0014 |  |")
    assert of_sparse.endswith("| L0 32, dead units 0.002 ± 0.0014 |")
    assert of_pca == "| PCA |  | 32 | 0.0168 | 0.9 |  |  |  |  |"


def test_pca_stands_beside_a_figure_that_it_has_too():
    masked = [run_of({"test/hidden_mse": 0.03, "pca/hidden_mse": 0.035})]
    assert "MSE of hidden patches 0.03 (PCA 0.035)" in variants.markdown({"masked_mnist": masked})[2]


def test_what_few_labels_reach_stands_beside_the_same_from_scratch_and_from_x_itself():
    accuracies = {"frozen": 0.8, "frozen_sd": 0.01, "scratch": 0.7, "input": 0.75}
    plain = [run_of({f"test/labels_100/{way}": accuracy for way, accuracy in accuracies.items()})]
    _, _, of_plain, of_x = variants.markdown({variants.PLAIN: plain})
    assert "| 0.8 (0.7) |  |" in of_plain
    assert of_x == "| x itself |  |  |  |  |  | 0.75 |  |  |"


def test_it_trains_each_recipe_with_each_seed_and_writes_the_table(workspace, monkeypatch, capsys):
    trained = []

    def train(recipe, seed, experiment, options):
        trained.append((recipe, seed, experiment))
        assert options == variants.OPTIONS
        return run_of({"test/mse": 0.01})

    monkeypatch.setattr("pipelines.results.train", train)
    page, (begin, end) = workspace / "README.md", marks("variants")
    page.write_text(f"before\n{begin}\n{end}\nafter\n")
    assert variants.main(["conv_mnist", "vae_mnist", "--seeds", "1", "2", "--write", str(page)]) == 0
    assert trained == [(recipe, seed, "variants") for recipe in ("conv_mnist", "vae_mnist") for seed in (1, 2)]
    table = capsys.readouterr().out.strip()
    assert page.read_text() == f"before\n{begin}\n{table}\n{end}\nafter\n"


@pytest.mark.parametrize("argv", [["no_such_recipe"], ["conv_mnist", "--write", "missing.md"]])
def test_mistakes_are_one_line_and_exit_code_2(argv, workspace, capsys):
    with pytest.raises(SystemExit) as stopped:
        variants.main(argv)
    assert stopped.value.code == 2
    assert capsys.readouterr().err.startswith("lit-ae: ")
