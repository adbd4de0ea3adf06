"""A mistake in a study is one sentence and exit code 2, and nothing is changed."""

from pathlib import Path

import pytest
import yaml
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from sqlalchemy import create_engine, text

from pipelines.tuning.definition import Definition
from pipelines.tuning.plan import Plan
from pipelines.tuning.storage import open_storage
from pipelines.tuning.study import begun
from tests.pipelines.helpers import SMALL
from tests.pipelines.tuning.conftest import STUDY

JOURNAL = Path("outputs/studies.journal")
SPACE = STUDY["space"]


def refused(answer, *parts: str) -> None:
    assert answer.code == 2, answer.out
    assert answer.err.startswith("lit-ae: ")
    assert answer.err.count("\n") == 1, answer.err
    for part in parts:
        assert part in answer.err


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"space": {"model.latent_dm": {"int": [2, 4]}}}, "did you mean --model.latent_dim?"),
        ({"space": {"model.network.hiden": {"int": [2, 4]}}}, "did you mean --model.network.hidden?"),
        ({"space": {"modle.latent_dim": {"int": [2, 4]}}}, "did you mean --model.latent_dim?"),
        ({"space": {"model.network": {"categorical": ["MLP", "Convv"]}}}, "did you mean Conv?"),
        ({"space": {"tracking.run_name": {"categorical": ["a", "b"]}}}, "is no option of a training"),
        ({"space": {"model.latent_dim": {"int": [4, 2]}}}, "space.model.latent_dim is empty: 4 is not below 2"),
        ({"objectives": {"val/loss": "maximize"}}, "a good loss is minimized: write minimize"),
        ({"objectives": {"val/elbo": "minimize"}}, "a good elbo is maximized: write maximize"),
        ({"objectives": {"val/kl": "minimise"}}, "did you mean minimize?"),
        ({"objectives": "val/kl"}, "say whether val/kl is to be minimized or maximized"),
        ({"objectives": "test/mse"}, "neither a figure of the tuning split"),
        ({"objectives": {}}, "The study has no objective"),
        ({"sampler": "tpee"}, "did you mean tpe?"),
        ({"pruner": "hyperbnd"}, "did you mean hyperband?"),
        ({"pruner": "median", "objectives": {"val/loss": None, "val/kl": "minimize"}}, "set pruner to none"),
        ({"trials": 0}, "trials must be a whole number of at least 1, not 0"),
        ({"trials": None}, "The study would never end"),
        ({"minutes": -1}, "minutes must be above 0"),
        ({"seeds": 1.5}, "seeds must be a whole number"),
        ({"trails": 3}, "did you mean trials?"),
        ({"recipe": "vae_digit"}, "did you mean vae_digits?"),
        ({"recipe": None}, "The study names no recipe"),
        ({"training": {"trainer": {"max_epoch": 3}}}, "did you mean --trainer.max_epochs?"),
        ({"choose": "worst"}, "choose takes best, knee or the number of a trial"),
        ({"register": "digits"}, "Nothing can be registered when final_seeds is 0"),
    ],
)
def test_in_the_study(changes, part, written, tune, runs):
    refused(tune("--study", written(**changes)), part)
    assert not JOURNAL.exists()
    assert runs() == []


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ([], "Which study? Say --study NAME"),
        (["--study", "tune_bet"], "did you mean tune_beta?"),
        (["--study", "none.yaml"], "There is no file none.yaml"),
        (["--study", "study.yaml", "--workrs", "2"], "Unknown option --workrs"),
        (["--study", "study.yaml", "--workers", "0"], "workers must be a whole number of at least 1"),
        (["--study", "study.yaml", "--sampler", "bayes"], "It takes tpe, random, nsga2, cmaes, qmc"),
        (["--study", "study.yaml", "--model.latent_dm", "3"], "did you mean --model.latent_dim?"),
        (["--study", "study.yaml", "--storage"], "--storage needs a value"),
        (["study.yaml"], "is not an option"),
    ],
)
def test_in_the_command(words, part, written, tune, runs):
    written()
    refused(tune(*words), part)
    assert not JOURNAL.exists()
    assert runs() == []


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"objectives": {"val/kll": "minimize"}}, "did you mean val/kl?"),
        ({"space": {"model.latent_dim": {"int": [4, 8]}}}, "does not hold the recipe's own value, 3"),
        (
            {"space": {"model.latent_dim": {"int": [-1, 8]}}},
            "space.model.latent_dim can't be -1: ",
        ),
    ],
)
def test_that_only_the_training_knows(changes, part, written, tune, runs):
    refused(tune("--study", written(**changes)), part)
    assert not JOURNAL.exists()
    assert runs() == []


def begin(file: Path, storage: str = str(JOURNAL)) -> bytes:
    """A study without a trial, as the file has it; returns the journal."""
    search = {name: value for name, value in yaml.safe_load(file.read_text()).items() if name != "final_seeds"}
    begun(open_storage(storage), Plan(Definition("study", SMALL, [], search), "run", 3, False, "lit-ae", "outputs"))
    return JOURNAL.read_bytes()


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"space": {"model.latent_dim": {"int": [2, 8]}}}, "another space"),
        ({"objectives": {"val/kl": "minimize"}}, "another objective"),
        ({"seeds": 2}, "another number of seeds"),
        ({"training": {"trainer": {"max_epochs": 4}}}, "another training"),
    ],
)
def test_another_study_of_the_same_name(changes, part, written, tune, runs):
    before = begin(written())
    refused(tune("--study", written(**changes)), part, "another --name")
    refused(tune("--study", written(**changes), "--join"), part)
    assert JOURNAL.read_bytes() == before
    assert runs() == []


def test_a_study_that_is_not_there_is_neither_joined_nor_shown(written, tune, runs):
    refused(tune("--study", written(), "--join"), "There is no study 'study' to join")
    refused(tune("--study", written(), "--show"), "There is no study 'study' in")
    assert runs() == []


@pytest.mark.parametrize(
    ("storage", "part"),
    [
        ("sqlite:///studies.db", "SQLite is not for several processes"),
        ("postgresql://me:secret@127.0.0.1:1/studies", "can't be reached"),
        ("oracle+nothing://x/y", "no URL of a storage that is installed"),
        ("mlflow.db", "is no journal of studies"),
        ("/proc/studies.journal", "can't be used"),
    ],
)
def test_a_storage_that_is_none(storage, part, written, tune, runs):
    answer = tune("--study", written(), "--storage", storage, "--join")
    refused(answer, part)
    assert "secret" not in answer.err
    assert not Path("studies.db").exists()
    assert runs() == []


@pytest.mark.slow
def test_a_proxy_that_does_not_answer(written, tune):
    answer = tune("--study", written(), "--storage", "grpc://127.0.0.1:1", "--join")
    refused(answer)
    assert "does not answer: start it with" in answer.err


def test_mlflows_own_database_in_other_words(written, tune, monkeypatch):
    uri = "postgresql://me@127.0.0.1:1/same"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    answer = tune("--study", written(), "--storage", "postgresql+pg8000://you:secret@127.0.0.1:1/same")
    refused(answer)
    assert "MLflow's own" in answer.err


def test_a_journal_of_other_studies_is_left_as_it_is(written, tune):
    JournalStorage(JournalFileBackend("other.journal")).create_new_study([1], "foreign")
    before = Path("other.journal").read_bytes()
    refused(tune("--study", written(), "--storage", "other.journal", "--name", "foreign", "--join"), "another origin")
    assert Path("other.journal").read_bytes() == before


@pytest.mark.slow
def test_an_older_database_and_mlflows(postgres, written, tune):
    open_storage(postgres)
    engine = create_engine(postgres.replace("postgresql", "postgresql+pg8000"))
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = 'v2.6.0.a'"))
        connection.execute(text("UPDATE version_info SET library_version = '2.6.0'"))
    older = tune("--study", written(), "--storage", postgres, "--join")
    refused(older)
    assert "made by Optuna 2.6.0 and is older" in older.err
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE experiments (id int)"))
    mlflows = tune("--study", written(), "--storage", postgres, "--join")
    refused(mlflows)
    assert "MLflow's own database" in mlflows.err
