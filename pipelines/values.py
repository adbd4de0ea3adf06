"""Whether a value written on the command line can be what an annotation asks for, told without importing anything.

Only numbers, truth values and fixed choices are judged; whatever else an annotation says is left to the parser.
"""

import ast
from collections.abc import Iterable
from difflib import get_close_matches
from typing import NamedTuple

_KINDS = {"int": "a whole number", "float": "a number", "bool": "true or false"}
_TRUTHS = {"true", "false", "yes", "no", "on", "off"}
_NOTHING = {"null", "none", "~", ""}


class Wanted(NamedTuple):
    """What an option takes: kinds of value in words, and choices by name."""

    kinds: list[str]
    choices: list[str]


def refusal(name: str, value: str, wanted: Wanted) -> str:
    """The sentence for a value that an option does not take, with the nearest right choice."""
    nearest = closest(value, wanted.choices)
    hint = f"did you mean {nearest}? It" if nearest else "it"
    choices = [f"one of {', '.join(wanted.choices)}"] if wanted.choices else []
    return f"--{name} can't be {value!r}: {hint} takes {' or '.join([*wanted.kinds, *choices])}."


def unknown_option(name: str, nearest: str | None) -> str:
    """The sentence for an option that nothing answers to, with the name of the nearest that there is."""
    return f"Unknown option --{name}: " + (f"did you mean --{nearest}?" if nearest else "see --help.")


def closest(word: str, names: Iterable[str]) -> str | None:
    """The name that a misspelt word was most likely meant to be, whatever its case."""
    folded = {name.lower(): name for name in names}
    return next((folded[match] for match in get_close_matches(word.lower(), folded, n=1)), None)


def wanted(annotation: str, value: str) -> Wanted | None:
    """What a parameter takes where ``value`` is certainly none of it; None where it may be.

    Args:
        annotation: a type as the source text has it, such as ``int | None`` or ``Literal["a", "b"]``.
        value: what was written for it.
    """
    try:
        alternatives = _alternatives(ast.parse(annotation, mode="eval").body)
    except SyntaxError:
        return None
    if not alternatives or any(_may_be(one, value) for one in alternatives):
        return None
    kinds = [_KINDS[one] for one in alternatives if one in _KINDS]
    return Wanted(kinds, [str(ast.literal_eval(one)) for one in alternatives if one not in (*_KINDS, "None")])


def _alternatives(node: ast.expr) -> list[str]:
    """The simple types of a union, a choice in quotation marks; nothing where a part of it is not simple."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        parts = [node.left, node.right]
    elif isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
        inside = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        if node.value.id == "Literal":
            return [repr(choice.value) for choice in inside if isinstance(choice, ast.Constant)]
        if node.value.id not in ("Optional", "Union"):
            return []
        parts = [*inside, *([ast.Constant(None)] if node.value.id == "Optional" else [])]
    elif isinstance(node, ast.Constant) and node.value is None:
        return ["None"]
    else:
        return [node.id] if isinstance(node, ast.Name) and node.id in _KINDS else []
    found = [_alternatives(part) for part in parts]
    return [kind for kinds in found for kind in kinds] if all(found) else []


def _may_be(kind: str, value: str) -> bool:
    if kind == "None":
        return value.lower() in _NOTHING
    if kind == "bool":
        return value.lower() in _TRUTHS
    if kind not in _KINDS:
        return value in (kind, str(ast.literal_eval(kind)))
    try:
        number = float(value.replace("_", ""))
    except ValueError:
        return value.lower().startswith(("0x", "0o", "0b"))
    return kind == "float" or number.is_integer()
