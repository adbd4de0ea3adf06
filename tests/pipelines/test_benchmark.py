"""The table of the detection benchmarks, and what is made for it."""

from types import SimpleNamespace

import pytest

from pipelines import benchmark
from pipelines.results import marks


def a_run(run_id: str = "r", **metrics: float) -> SimpleNamespace:
    figures = {key.replace("__", "/"): value for key, value in metrics.items()}
    return SimpleNamespace(info=SimpleNamespace(run_id=run_id), data=SimpleNamespace(metrics=figures))


def test_a_benchmark_has_a_row_for_the_model_and_one_for_each_detector_beside():
    of_seeds = [
        [
            a_run(test__auroc=0.9, test__f1=0.5, baseline_pca__auroc=0.7),
            a_run(test__auroc=0.8, baseline_pca__auroc=0.7),
        ],
        [
            a_run(test__auroc=1.0, test__f1=0.5, baseline_pca__auroc=0.7),
            a_run(test__auroc=0.9, baseline_pca__auroc=0.7),
        ],
    ]
    heads, line, model, worst, pca = benchmark.markdown({"mnist": of_seeds})
    assert heads == "| benchmark | detector (2 seeds) | AUROC | goal |", "columns without a figure are left out"
    assert len({row.count("|") for row in (heads, line, model, worst, pca)}) == 1
    cells = [cell.strip() for cell in model.split("|")]
    assert cells[1:4] == ["**MNIST, one digit against the rest, mean over 10**", "**lit-ae**", "0.9000 ± 0.0707"]
    assert "0.5" not in model
    assert "AUROC ≥ 0.972" in model
    assert "lit-ae, [1] alone, its worst | 0.8500 ± 0.0707 |" in worst
    assert "PCA residual" in pca
    assert "| 0.7000 |" in pca


@pytest.fixture
def made(monkeypatch) -> list[tuple[str, ...]]:
    """What was trained and evaluated, by name; nothing is really."""
    done: dict[str, SimpleNamespace] = {}
    told: list[tuple[str, ...]] = []

    def train(recipe, seed, experiment, options, name):
        if name not in done:
            told.append((recipe, *options, str(seed)))
            done[name] = a_run(f"run of {name}", test__auroc=0.9)
        return done[name]

    def run(command, cwd):
        told.append(tuple(command[2:]))
        done[command[-1]] = a_run(test__auroc=0.8)
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr(benchmark, "train", train)
    monkeypatch.setattr(benchmark, "finished", lambda name, experiment: done.get(name))
    monkeypatch.setattr(benchmark.subprocess, "run", run)
    return told


def test_every_variation_is_trained_once_and_models_are_judged_on_other_data(made, capsys):
    for _ in range(2):
        assert benchmark.main(["mnist", "nsl_kdd_21", "--seeds", "0", "1"]) == 0
    trained = [one for one in made if one[0] == "detection_mnist"]
    assert len(trained) == len(set(trained)) == 20
    judged = [one for one in made if one[0] == "pipelines.evaluate"]
    assert [one[1] for one in judged] == ["run of nsl_kdd seed 0", "run of nsl_kdd seed 1"]
    assert judged[0][2:6] == ("--data", "NetworkTraffic", "--data.source", "KDDTest-21")
    assert len(made) == 24
    assert "| **NSL-KDD, KDDTest-21** | **lit-ae** |" in capsys.readouterr().out


def test_the_table_is_written_between_its_marks(made, workspace):
    begin, end = marks(benchmark.MARK)
    page = workspace / "README.md"
    page.write_text(f"before\n{begin}\n{end}\nafter\n")
    benchmark.main(["sensors", "--seeds", "0", "--write", "README.md"])
    text = page.read_text()
    assert text.startswith(f"before\n{begin}\n| benchmark |")
    assert text.endswith(f"{end}\nafter\n")


@pytest.mark.parametrize("argv", [["no_such_one"], ["sensors", "--write", "nowhere.md"]])
def test_mistakes_are_one_line_and_exit_code_2(argv, made, workspace, capsys):
    with pytest.raises(SystemExit) as stopped:
        benchmark.main(argv)
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("lit-ae: ")
    assert error.count("\n") == 1
    assert made == []
