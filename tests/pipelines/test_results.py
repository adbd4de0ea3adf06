from types import SimpleNamespace

import pytest

from pipelines import results


def runs_of(*metrics):
    return {"conv_mnist": [SimpleNamespace(data=SimpleNamespace(metrics=one)) for one in metrics]}


def test_a_row_holds_mean_spread_pca_and_what_is_to_be_beaten():
    row = results.markdown(runs_of({"test/mse": 0.004, "pca/mse": 0.0168}, {"test/mse": 0.006, "pca/mse": 0.0168}))[-1]
    assert row.startswith("| conv_mnist | MSE | 0.005 ± 0.0014 | 0.0168 | 0.00450")


def test_a_figure_that_a_run_lacks_is_left_out():
    assert len(results.markdown(runs_of({"test/mse": 1.0}, {}))) == 2


def test_a_pca_that_is_exact_says_nothing():
    row = results.markdown(runs_of({"test/mse": 0.004, "pca/mse": 5e-15}))[-1]
    assert row.startswith("| conv_mnist | MSE | 0.004 |  | 0.00450")


def test_figures_of_the_validation_rows_stand_below_those_of_the_test_where_they_are_asked_for():
    runs = runs_of({"test/l0": 32.0, "val/l0": 30.0}, {"test/l0": 32.0, "val/l0": 31.0})
    assert results.markdown(runs, validation=True)[2:] == [
        "| conv_mnist | units that are on in a sample | 32 |  |  |",
        "| conv_mnist | units that are on in a sample, on validation rows | 30.5 ± 0.71 |  |  |",
    ]
    assert len(results.markdown(runs)) == 3


def test_the_table_is_written_between_the_marks_again_and_again(tmp_path):
    page = tmp_path / "README.md"
    begin, end = results.marks("speed")
    page.write_text(f"before\n{begin}\nold\n{end}\nafter\n")
    for table in ("| one |", "| two |"):
        results.write(page, "speed", table)
        assert page.read_text() == f"before\n{begin}\n{table}\n{end}\nafter\n"


@pytest.mark.parametrize("argv", [["no_such_recipe"], ["conv_mnist", "--write", "EMPTY"]])
def test_mistakes_are_one_line_and_exit_code_2(argv, workspace, capsys):
    (workspace / "EMPTY").write_text("")
    with pytest.raises(SystemExit) as stopped:
        results.main(argv)
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("lit-ae: ")
    assert error.count("\n") == 1
