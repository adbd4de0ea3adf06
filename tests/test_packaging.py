"""What the project is made of fits together: pins, entry points, and which part may import which."""

import ast
import re
import shlex
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path
from sys import stdlib_module_names

import pytest
import yaml

ROOT = Path(__file__).parents[1]
PARTS = ("lit_ae", "data", "pipelines", "benchmarks")
FORBIDDEN_IMPORTS = {"lit_ae": {"data", "pipelines"}, "data": {"pipelines"}}
PICKLES = {"pickle", "cPickle", "_pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
ELSEWHERE = {"pythae"}  # what a benchmark runs in an environment of its own
PRIVATE_PLACES = re.compile(r"/(?:work|tmp/venv|root|home|opt)/|https?://[^/\s]*(?:pypi|index|registry|mirror)[^/\s]*/")

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
REQUIREMENTS = PROJECT["project"]["dependencies"]
DEVELOPMENT = PROJECT["project"]["optional-dependencies"]["dev"]
CONSTRAINTS = (ROOT / "constraints.txt").read_text().splitlines()


def python_files(*parts: str) -> list[Path]:
    return sorted(file for part in parts for file in (ROOT / part).rglob("*.py"))


SOURCES = python_files(*PARTS)
EVERYTHING = python_files(*PARTS, "tests")


def by_name(file: Path) -> str:
    return str(file.relative_to(ROOT))


@cache
def nodes(file: Path) -> list[ast.AST]:
    return list(ast.walk(ast.parse(file.read_text(encoding="utf-8"))))


def imported(file: Path) -> Iterator[str]:
    """The top-level names of all modules that a file imports, wherever in it."""
    for node in nodes(file):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{by_name(file)} has a relative import"
            yield str(node.module).partition(".")[0]


def distribution(requirement: str) -> str:
    """The normalised name in a requirement: ``scikit-learn`` in ``scikit_learn==1.9``."""
    return re.sub(r"[-_.]+", "-", re.split(r"[\[=<>~!; ]", requirement)[0]).lower()


def version(requirement: str) -> str:
    return requirement.partition("==")[2]


def test_conda_holds_the_same_pins_in_the_form_that_every_environment_manager_reads() -> None:
    python, pip, packages = yaml.safe_load((ROOT / "conda.yaml").read_text())["dependencies"]
    assert (python, pip) == ("python=3.11", "pip")
    assert packages == {"pip": REQUIREMENTS}


def test_every_direct_dependency_is_pinned_and_constrained_alike() -> None:
    constrained = {distribution(line): version(line) for line in CONSTRAINTS}
    for requirement in [*REQUIREMENTS, *DEVELOPMENT]:
        assert re.fullmatch(r"[\w.-]+(\[\w+\])?==[\w.]+", requirement)
        assert constrained[distribution(requirement)] == version(requirement)


def test_constraints_are_pins_and_nothing_else() -> None:
    assert [line for line in CONSTRAINTS if not re.fullmatch(r"[\w.-]+==[\w.+]+", line)] == []
    assert sorted(CONSTRAINTS, key=str.lower) == CONSTRAINTS


def test_every_import_is_declared() -> None:
    owners = packages_distributions()
    declared = {distribution(requirement) for requirement in REQUIREMENTS}
    foreign = {name for file in SOURCES for name in imported(file)} - {*stdlib_module_names, *PARTS, *ELSEWHERE}
    missing = {name for name in foreign if not {distribution(owner) for owner in owners.get(name, [])} & declared}
    assert missing == set()


@pytest.mark.parametrize("part", FORBIDDEN_IMPORTS)
def test_parts_depend_one_way(part: str) -> None:
    wrong = {by_name(file) for file in python_files(part) if FORBIDDEN_IMPORTS[part] & set(imported(file))}
    assert wrong == set()


@pytest.mark.parametrize("file", SOURCES, ids=by_name)
def test_nothing_is_unpickled_evaluated_or_moved_by_hand(file: Path) -> None:
    calls = [node for node in nodes(file) if isinstance(node, ast.Call)]
    keywords = [keyword for call in calls for keyword in call.keywords]
    assert not PICKLES & set(imported(file))
    assert not [k for k in keywords if k.arg == "weights_only" and not getattr(k.value, "value", False)]
    assert not [k for k in keywords if k.arg == "allow_pickle" and getattr(k.value, "value", True)]
    assert not [c for c in calls if isinstance(c.func, ast.Name) and c.func.id in ("eval", "exec")]
    assert not [c for c in calls if isinstance(c.func, ast.Attribute) and c.func.attr == "cuda"]


@pytest.mark.parametrize("file", EVERYTHING, ids=by_name)
def test_files_are_short_and_speak_of_the_project_alone(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert len(text.splitlines()) < 350
    if file != Path(__file__):
        assert PRIVATE_PLACES.findall(text) == []


def test_every_entry_point_is_a_module_and_fills_in_its_parameters() -> None:
    entry_points = yaml.safe_load((ROOT / "MLproject").read_text())["entry_points"]
    assert entry_points["main"] == entry_points["train"]
    for entry in entry_points.values():
        python, flag, module, *_ = shlex.split(entry["command"])
        assert (python, flag) == ("python", "-m")
        assert (ROOT / module.replace(".", "/")).with_suffix(".py").is_file()
        assert set(re.findall(r"{(\w+)}", entry["command"])) == set(entry.get("parameters", {}))
