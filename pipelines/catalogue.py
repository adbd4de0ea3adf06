"""What may be written on the command line, found without importing any of it.

Importing torch and Lightning takes seconds. The help page and the answer to a misspelt name need neither, only the
classes' source text. What this module is unsure of it lets pass: the parser checks it again later.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from textwrap import fill, indent
from typing import Any, NamedTuple

from lit_ae.errors import UserError
from pipelines.signatures import Entry, Parameter, Sources
from pipelines.values import closest, refusal, unknown_option, wanted

WIDTH = 100
STANDARD = {
    "config": "A YAML file; runs:/<run id>/config.yaml repeats a run.",
    "seed_everything": "Seed of every random number generator.",
    "print_config": "Print the resolved configuration and exit.",
    "help": "This page; --help VAE (or any name above, or trainer) lists all options of that class.",
    "model.<option>": "An option of the variant; --model.network.<option> of its network, and so on.",
    "data.<option>": "An option of the data set.",
    "trainer.<option>": "An option of Lightning's Trainer.",
}
INTRODUCTION = """\
usage: python -m pipelines.train [--recipe NAME] [--model CLASS] [--data CLASS] [--<option> VALUE]

Trains an autoencoder on a data set, tests it, and keeps all of it in one MLflow run.

Examples
  python -m pipelines.train --recipe vae_digits
  python -m pipelines.train --recipe vae_digits --trainer.max_epochs 5
  python -m pipelines.train --model VAE --data MNIST --model.network Conv --model.latent_dim 16
  python -m pipelines.train --config runs:/<run id>/config.yaml
  python -m pipelines.train --resume <run id>"""


class Family(NamedTuple):
    """A kind of class: what it is called, the base that its members derive from, and the files to read."""

    title: str
    base: str
    files: tuple[str, ...]

    @property
    def package(self) -> str:
        return self.files[-1].partition("/")[0]


VARIANTS = Family(
    "variant",
    "LitAutoencoder",
    ("lit_ae/networks/base.py", "lit_ae/module.py", "lit_ae/variational.py", "lit_ae/variants/*.py"),
)
DATA_SETS = Family("data set", "LitData", ("lit_ae/spec.py", "data/*.py"))
NETWORKS = Family("network", "Network", ("lit_ae/networks/*.py",))
LIKELIHOODS = Family("likelihood", "Likelihood", ("lit_ae/likelihoods/*.py",))
CORRUPTIONS = Family("corruption", "Corruption", ("lit_ae/corruptions.py",))
EXTRA_TERMS = Family("extra term", "ExtraTerm", ("lit_ae/extra_terms.py",))
PRIORS = Family("prior", "Prior", ("lit_ae/latents.py", "lit_ae/priors.py"))
AUGMENTATIONS = Family("augmentation", "Augmentation", ("lit_ae/augmentations.py",))
SPARSITIES = Family("sparsity", "Sparsity", ("lit_ae/sparsity.py",))
SCHEDULES = Family("schedule", "Schedule", ("lit_ae/schedules.py",))
LEARNING_RATES = Family("learning-rate schedule", "LearningRateSchedule", ("lit_ae/optimization.py",))
OPTIMIZERS = Family("optimizer", "Optimizer", ("torch/optim/*.py",))
PARTS = (
    *(NETWORKS, LIKELIHOODS, CORRUPTIONS, EXTRA_TERMS, PRIORS, AUGMENTATIONS, SPARSITIES),
    *(SCHEDULES, LEARNING_RATES, OPTIMIZERS),
)
FAMILIES = (VARIANTS, DATA_SETS, *PARTS)
_ROOTS = {"model": VARIANTS, "data": DATA_SETS}
_NO_CLASS = {"none", "null", "true", "false", "inf", "nan"}


class Catalogue:
    """The classes and parameters that a command may name.

    Args:
        root: the folder that holds ``lit_ae``, ``data`` and ``pipelines``.
    """

    def __init__(self, root: Path):
        self.root = root
        self._members: dict[Family, dict[str, Entry]] = {}

    def members(self, family: Family) -> dict[str, Entry]:
        """The classes of a family that can be made, by name."""
        if family not in self._members:
            folder = _home_of("torch") if family is OPTIMIZERS else self.root
            files = sorted(file for pattern in family.files for file in folder.glob(pattern))
            self._members[family] = dict(sorted(Sources(files, family.base).entries()))
        return self._members[family]

    @property
    def variants(self) -> dict[str, Entry]:
        return self.members(VARIANTS)

    @property
    def data_sets(self) -> dict[str, Entry]:
        return self.members(DATA_SETS)

    @cached_property
    def trainer(self) -> Entry:
        """Lightning's Trainer."""
        sources = Sources(_home_of("lightning").glob("lightning/pytorch/trainer/trainer.py"), "Trainer")
        return sources.entry("Trainer") if sources.classes else Entry("Trainer", "", {}, is_open=True)

    def prefix(self, family: Family) -> str | None:
        """Where a member of the family is named: ``model.network`` for networks; None where no parameter takes one."""
        for flag, root in _ROOTS.items():
            if family is root:
                return flag
        parameters = (p for entry in self.variants.values() for p in entry.parameters.values())
        return next((f"model.{p.name}" for p in parameters if family_of(p) is family), None)

    def check(self, options: Iterable[tuple[str, str | None]], own: Mapping[str, str]) -> None:
        """Refuses the first name that nothing answers to.

        Args:
            options: dotted names with their values in order of precedence, a recipe's (see :func:`flatten`) first.
            own: the command's own options with their help.

        Raises:
            UserError: one sentence with the nearest right name.
        """
        chosen: dict[str, Entry | None] = {}
        heads = {name.partition(".")[0] for name in [*STANDARD, *own]}
        groups = heads - {*STANDARD, *own, *_ROOTS, "trainer"}
        unread = False
        for name, value in options:
            path = [part for part in name.removesuffix("+").split(".") if part not in ("init_args", "class_path")]
            unread |= name == "config"
            if not path or "dict_kwargs" in path or "help" in path:
                continue
            if path[0] not in heads or (path[0] in groups and len(path) == 2 and name not in own):
                raise UserError(self._unknown(path, heads, own))
            if path[0] in _ROOTS:
                self._check_component(path, value, chosen, unread)
            elif path[0] == "trainer" and path[1:]:
                parameter = self._find(self.trainer, path[1], "trainer")
                if parameter and len(path) == 2:
                    check_value(name, parameter, value)

    def _check_component(
        self, path: list[str], value: str | None, chosen: dict[str, Entry | None], unread: bool
    ) -> None:
        """Follows ``model.network.channels`` from class to class, and notes the class that a value names.

        A class that is not named yet may be named by a file that was not read.
        """
        where, family = path[0], _ROOTS[path[0]]
        for part in path[1:]:
            entry = chosen.get(where, None if unread else self._any_of(family))
            parameter = self._find(entry, part, where) if entry else None
            inner = family_of(parameter) if parameter else None
            if parameter is None or inner is None or re.search(r"\b(str|Literal)\b", parameter.annotation):
                if parameter and part is path[-1]:
                    check_value(".".join(path), parameter, value)
                return
            where, family = f"{where}.{part}", inner
        if value is not None:
            chosen[where] = self._named(family, value)

    def _any_of(self, family: Family) -> Entry:
        """Stands for a class that is not named yet: it takes whatever one of its family takes."""
        members = self.members(family).values()
        parameters = {name: parameter for entry in members for name, parameter in entry.parameters.items()}
        return Entry(f"No {family.title}", "", parameters, not members or any(entry.is_open for entry in members))

    def _named(self, family: Family, value: str) -> Entry | None:
        """The class that ``VAE`` or ``lit_ae.variants.VAE`` names; None for what is not ours to judge."""
        known = self.members(family)
        package, _, name = value.rpartition(".")
        is_foreign = package and package.partition(".")[0] != family.package
        if is_foreign or not known or not name.isidentifier() or name.lower() in _NO_CLASS:
            return None
        if name in known:
            return known[name]
        nearest = closest(name, known)
        if package and not nearest:
            return None
        hint = f": did you mean {nearest}?" if nearest else "."
        raise UserError(f"Unknown {family.title} '{value}'{hint} Known: {', '.join(known)}.")

    def _find(self, entry: Entry, name: str, where: str) -> Parameter | None:
        """The parameter of that name, None where the class may take it all the same."""
        if name in entry.parameters or entry.is_open:
            return entry.parameters.get(name)
        deeper, nearest = self._flags.get(name, ""), closest(name, entry.parameters)
        is_inside = deeper.startswith(f"{where}.") and deeper != f"{where}.{name}"
        flag = deeper if is_inside else f"{where}.{nearest}" if nearest else None
        nobody = entry.name.startswith("No ")
        hint = f"did you mean --{flag}?" if flag else "see --help." if nobody else f"see --help {entry.name}."
        raise UserError(f"{entry.name} has {'an' if nobody else 'no'} option '{name}': {hint}")

    def _unknown(self, path: list[str], heads: set[str], own: Mapping[str, str]) -> str:
        """The sentence for a forgotten prefix, a misspelt head or a misspelt last part."""
        flags = self._flags | {name.rpartition(".")[2]: name for name in own}
        name, head, leaf = ".".join(path), closest(path[0], heads), path[-1]
        nearest = (flags.get(leaf) if len(path) == 1 else None) or closest(name, own)
        nearest = nearest or (head and ".".join([head, *path[1:]])) or flags.get(closest(leaf, flags) or "")
        return unknown_option(name, nearest)

    @cached_property
    def _flags(self) -> dict[str, str]:
        """The full flag of every last part: ``trainer.max_epochs`` for ``max_epochs``."""
        owners = [("trainer", self.trainer)]
        for family in FAMILIES:
            prefix = self.prefix(family)
            owners += [(prefix, entry) for entry in self.members(family).values() if prefix]
        return {name: f"{prefix}.{name}" for prefix, entry in reversed(owners) for name in entry.parameters}

    def help_text(self, own: Mapping[str, str]) -> str:
        """The page for ``--help``: the command, examples, recipes, what can be named, and the command's own options."""
        tables = [table("Recipes (--recipe NAME)", self._recipes())]
        for family in FAMILIES:
            prefix, members = self.prefix(family), self.members(family)
            title = f"{family.title.capitalize()}s" + (f" (--{prefix} CLASS)" if prefix else "")
            if family is OPTIMIZERS:
                tables.append(
                    f"{title}\n" + fill(", ".join(members), WIDTH, initial_indent="  ", subsequent_indent="  ")
                )
            else:
                tables.append(table(title, {name: entry.summary for name, entry in members.items()}))
        options = {**own, **STANDARD, **own}
        tables.append(table("Options", {f"--{name}": text for name, text in options.items()}))
        return "\n\n".join([INTRODUCTION, *filter(None, tables)])

    def _recipes(self) -> dict[str, str]:
        files = sorted((self.root / "pipelines" / "recipes").glob("*.yaml"))
        firsts = {file.stem: file.read_text(encoding="utf-8").partition("\n")[0] for file in files}
        return {name: first.lstrip("# ") if first.startswith("#") else "" for name, first in firsts.items()}

    def help_text_of(self, name: str) -> str:
        """Every parameter of the classes of that name (or of ``trainer``) as a flag, with type, default and help.

        Raises:
            UserError: no class has that name.
        """
        found = [(self.prefix(f), f.title, entry) for f in FAMILIES for entry in self.members(f).values()]
        found.append(("trainer", "Lightning", self.trainer))
        pages = [self._page(*one) for one in found if one[2].name.lower() == name.lower()]
        if not pages:
            nearest = closest(name, [entry.name for _, _, entry in found])
            hint = f"did you mean {nearest}?" if nearest else "see --help."
            raise UserError(f"Nothing is called '{name}': {hint}")
        return "\n\n".join(pages)

    def _page(self, prefix: str | None, title: str, entry: Entry) -> str:
        """A class's summary, and each parameter as ``--model.latent_dim INT  (default 16)`` over its help."""
        lines = [fill(f"{entry.name} ({title}): {entry.summary}".removesuffix(": "), WIDTH)]
        for parameter in entry.parameters.values():
            flag = f"--{prefix}.{parameter.name}" if prefix else parameter.name
            default = "required" if parameter.default is None else f"default {parameter.default}"
            head = f"{flag} {self._kind(parameter)}  ({default})"
            lines.append(fill(head, WIDTH, initial_indent="  ", subsequent_indent=" " * 6))
            lines.append(indent(fill(parameter.help, WIDTH - 6), " " * 6))
        return "\n".join(filter(None, lines))

    def _kind(self, parameter: Parameter) -> str:
        """What a parameter takes, as a user would write it."""
        family, annotation = family_of(parameter), parameter.annotation
        if family is None:
            choices = re.sub(
                r"Literal\[(.*?)\]", lambda found: re.sub(", ", " | ", found[1].replace("'", "")), annotation
            )
            return re.sub(r"\b(int|float|str|bool)\b", lambda found: found[0].upper(), choices)
        number, nothing = re.search(r"\bfloat\b", annotation), re.search(r"\bNone\b", annotation)
        return " | ".join([*(["FLOAT"] if number else []), *self.members(family), *(["null"] if nothing else [])])


def flatten(section: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str | None]]:
    """A recipe's nested sections as dotted options, the class before its arguments."""
    for key, value in sorted(section.items(), key=lambda item: item[0] != "class_path"):
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from flatten(value, f"{name}.") if value else [(name, None)]
        else:
            yield name, "null" if value is None else str(value)


def family_of(parameter: Parameter) -> Family | None:
    """The family whose members a parameter takes, told from its annotation."""
    words = set(re.findall(r"\w+", parameter.annotation))
    return next((f for f in FAMILIES if f.base in words or f"{f.base}Callable" in words), None)


def check_value(name: str, parameter: Parameter, value: str | None) -> None:
    """Refuses a value that is certainly none of what the parameter takes.

    Raises:
        UserError: one sentence with what it takes, and the nearest right choice where there is one.
    """
    if value is not None and (asked := wanted(parameter.annotation, value)):
        raise UserError(refusal(name, value, asked))


def _home_of(package: str) -> Path:
    """The folder that an installed package lies in, found without importing it."""
    spec = find_spec(package)
    folders = spec.submodule_search_locations if spec else None
    return Path(folders[0]).parent if folders else Path(package)


def table(title: str, rows: Mapping[str, str]) -> str:
    """A titled table of the help page: names, and text beside them."""
    width = max(map(len, rows), default=0) + 4
    margin = " " * width
    lines = [fill(f"  {name}".ljust(width) + text, WIDTH, subsequent_indent=margin) for name, text in rows.items()]
    return "\n".join([title, *lines]) if rows else ""
