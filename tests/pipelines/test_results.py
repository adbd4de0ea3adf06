import pytest

from pipelines import results

RUNS = {"conv_mnist": [{"test/mse": 0.004, "pca/mse": 0.0168}, {"test/mse": 0.006, "pca/mse": 0.0168}]}


def test_a_row_holds_mean_spread_pca_and_what_is_to_be_beaten():
    row = results.markdown(RUNS, [0, 1])[-1]
    assert row.startswith("| conv_mnist | MSE per pixel | 0.005 ± 0.0014 | 0.0168 | 0.00450")


def test_a_figure_that_a_run_lacks_is_left_out():
    assert len(results.markdown({"conv_mnist": [{"test/mse": 1.0}, {}]}, [0, 1])) == 2


def test_the_table_is_written_between_the_marks_again_and_again(tmp_path):
    page = tmp_path / "README.md"
    page.write_text(f"before\n{results.BEGIN}\nold\n{results.END}\nafter\n")
    for table in ("| one |", "| two |"):
        results.write(page, table)
        assert page.read_text() == f"before\n{results.BEGIN}\n{table}\n{results.END}\nafter\n"


@pytest.mark.parametrize("argv", [["no_such_recipe"], ["conv_mnist", "--write", "EMPTY"]])
def test_mistakes_are_one_line_and_exit_code_2(argv, workspace, capsys):
    (workspace / "EMPTY").write_text("")
    with pytest.raises(SystemExit) as stopped:
        results.main(argv)
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("lit-ae: ")
    assert error.count("\n") == 1
