"""What classes take, read from their source text with ``ast``: names, annotations, defaults and docstrings."""

import ast
import inspect
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

_NOT_THE_USERS = {"self", "spec", "sizes", "units", "params"}
_Field = tuple[str, ast.expr | None, ast.expr | None]


@dataclass(frozen=True)
class Parameter:
    """One parameter of a class, as its source has it; ``default`` is None where it must be given."""

    name: str
    annotation: str
    default: str | None
    help: str


@dataclass(frozen=True)
class Entry:
    """A class that can be named on the command line; ``is_open`` where it may take more parameters than are known."""

    name: str
    summary: str
    parameters: dict[str, Parameter]
    is_open: bool = False


class Sources:
    """The classes that some files define.

    Args:
        files: Python files.
        root: the class that the others derive from; what it derives from itself adds no parameters.
    """

    def __init__(self, files: Iterable[Path], root: str):
        self.root = root
        self.classes: dict[str, ast.ClassDef] = {}
        self.docs: dict[str, str] = {}
        self.aliases: dict[str, str] = {}
        self.own_aliases: dict[str, dict[str, str]] = {}  # of the file that a class stands in
        for file in files:
            own: dict[str, str] = {}
            for node in ast.parse(file.read_text(encoding="utf-8")).body:
                self._read(node, own)
            self.aliases |= own

    def _read(self, node: ast.stmt, own: dict[str, str]) -> None:
        if isinstance(node, ast.ClassDef):
            self.classes[node.name], self.own_aliases[node.name] = node, own
            self.docs[node.name] = ast.get_docstring(node) or ""
        elif isinstance(node, ast.Assign):
            name, _, attribute = ast.unparse(node.targets[0]).partition(".")
            if attribute == "__doc__":
                self.docs[name] = inspect.cleandoc(_literal_text(node.value))
            elif isinstance(node.value, ast.Subscript) and not attribute:
                own[name] = ast.unparse(node.value)

    def entries(self) -> Iterator[tuple[str, Entry]]:
        """Every public class that derives from the root and lacks no abstract method, in the order of the files."""
        for name in self.classes:
            if name != self.root and name[0] != "_" and self.root in self._lineage(name) and not self._missing(name):
                yield name, self.entry(name)

    def entry(self, name: str) -> Entry:
        parameters, is_open = self._signature(name)
        return Entry(name, _first_sentence(self.docs[name]), parameters, is_open)

    def _bases(self, name: str) -> list[str]:
        bases = self.classes[name].bases if name in self.classes else []
        return [ast.unparse(base).partition("[")[0].rpartition(".")[2] for base in bases]

    def _lineage(self, name: str) -> list[str]:
        return [name, *(ancestor for base in self._bases(name) for ancestor in self._lineage(base))]

    def _missing(self, name: str) -> set[str]:
        """The abstract methods that a class still lacks: those whose nearest definition is an abstract one."""
        nearest: dict[str, bool] = {}
        for owner in reversed(dict.fromkeys(reversed(self._lineage(name)))):  # a shared base comes after all it is of
            for node in self.classes[owner].body if owner in self.classes else ():
                if isinstance(node, ast.FunctionDef):
                    nearest.setdefault(node.name, "abstractmethod" in _decorators(node))
                for target in node.targets if isinstance(node, ast.Assign) else ():
                    nearest.setdefault(ast.unparse(target), False)
        return {method for method, is_abstract in nearest.items() if is_abstract}

    def _signature(self, name: str) -> tuple[dict[str, Parameter], bool]:
        """A class's parameters, its own before its bases', and whether it may take others too."""
        if name not in self.classes:
            return {}, True
        node = self.classes[name]
        init = next((n for n in node.body if isinstance(n, ast.FunctionDef) and n.name == "__init__"), None)
        own = self._own_parameters(node, init)
        swallows = init is not None and init.args.kwarg is not None
        if name == self.root or (init and not swallows):
            return own, swallows
        inherited = [self._signature(base) for base in self._bases(name)]
        merged = {key: value for parameters, _ in inherited for key, value in parameters.items()}
        rest = {key: value for key, value in merged.items() if key not in own}
        return own | rest, any(is_open for _, is_open in inherited)

    def _own_parameters(self, node: ast.ClassDef, init: ast.FunctionDef | None) -> dict[str, Parameter]:
        helps = _described(self.docs[node.name]) | _described((init and ast.get_docstring(init)) or "")
        fields: list[_Field] = []
        if init:
            fields = _arguments(init.args)
        elif "dataclass" in _decorators(node):
            fields = [(ast.unparse(n.target), n.annotation, n.value) for n in node.body if isinstance(n, ast.AnnAssign)]
        return {
            name: Parameter(name, self._type(annotation, node.name), _text(default), helps.get(name, ""))
            for name, annotation, default in fields
            if name not in _NOT_THE_USERS
        }

    def _type(self, annotation: ast.expr | None, owner: str) -> str:
        """The annotation with its aliases written out; those of the class's own file come first."""
        known = self.aliases | self.own_aliases[owner]
        return re.sub(r"\w+", lambda word: known.get(word[0], word[0]), _text(annotation) or "")


def _arguments(args: ast.arguments) -> list[_Field]:
    positional = [*args.posonlyargs, *args.args]
    defaults = [*[None] * (len(positional) - len(args.defaults)), *args.defaults, *args.kw_defaults]
    return [(a.arg, a.annotation, d) for a, d in zip([*positional, *args.kwonlyargs], defaults, strict=True)]


def _decorators(node: ast.ClassDef | ast.FunctionDef) -> str:
    return " ".join(map(ast.unparse, node.decorator_list))


def _text(node: ast.expr | None) -> str | None:
    return ast.unparse(node) if node else None


def _described(doc: str) -> dict[str, str]:
    """The help of each parameter in the ``Args:`` section of a docstring."""
    section = re.search(r"^Args:\n(.*?)(?=^\S|\Z)", doc, re.MULTILINE | re.DOTALL)
    text = dedent(section[1]) if section else ""
    pairs = re.findall(r"^(\w+)(?: \([^\n]*?\))?: *(.*(?:\n(?: .*)?)*)", text, re.MULTILINE)
    return {name: re.sub(r" *(Default: \S+\.|\(default: [^)]*\))$", "", _plain(words)) for name, words in pairs}


def _first_sentence(doc: str) -> str:
    return re.split(r"(?<! al\.)(?<!e\.g\.)(?<=\.) ", _plain(doc.partition("\n\n")[0]), maxsplit=1)[0]


def _plain(docstring: str) -> str:
    """The text on one line and without its markup."""
    return re.sub(r":\w+:`~?(?:[\w.]*\.)?(\w+)`", r"\1", " ".join(docstring.split())).replace("``", "")


def _literal_text(node: ast.expr) -> str:
    """The strings of an expression in the order in which they are written."""
    parts = [part for part in ast.walk(node) if isinstance(part, ast.Constant) and isinstance(part.value, str)]
    return "".join(str(part.value) for part in sorted(parts, key=lambda part: part.lineno))
