"""What the libraries say of a wrong value, made into one sentence for whoever wrote it."""

import re
from collections.abc import Iterator

from lit_ae.errors import UserError
from pipelines.values import Wanted, refusal

WORDS = {"int": "a whole number", "float": "a number", "bool": "true or false", "str": "a text", "list": "a list"}
NO_GPU = re.compile(r"No supported gpu backend|CUDAAccelerator.*can not run|MPSAccelerator.*can not run")


def explained(error: BaseException) -> UserError:
    """The reason of a library's error in one sentence; a UserError inside it is the reason itself."""
    own = next((cause for cause in _chain(error) if isinstance(cause, UserError)), None)
    text = str(error)
    return own or UserError(
        _not_given(text) or _wrong_value(text) or _no_gpu(text) or _first_lines(text) or type(error).__name__
    )


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _not_given(text: str) -> str | None:
    """The sentence for options that have no default and were left out."""
    found = re.search(r"class_path '(?:\w+\.)*(\w+)':\s+the following arguments are required: ([\w, ]+)", text)
    keys = _nested_keys(text)
    if not found or not keys:
        return None
    options = " and ".join(f"--{keys[-1][2]}.{name}" for name in found[2].strip().split(", "))
    return f"{found[1]} needs {options}: see --help {found[1]}."


def _wrong_value(text: str) -> str | None:
    """The sentence for jsonargparse's report, which nests what was tried: the innermost option is the wrong one."""
    keys = _nested_keys(text)
    if not keys:
        return None
    reason = text[keys[-1].end() :]
    found = re.search(r"\b(?:Got|Given) value: (.*?)(?:\. Got value:.*)?$", reason, re.MULTILINE)
    value = re.sub(r"^NestedArg\(key='[^']*', val=(.*)\)$", r"\1", found[1]).strip("'") if found else ""
    kinds, choices = _allowed(reason[: found.start()] if found else reason)
    name = ".".join(key[2] for key in keys)
    if not kinds and not choices:
        return None
    return refusal(name, value, Wanted(kinds, choices))


def _nested_keys(text: str) -> list[re.Match[str]]:
    """Each ``Parser key`` that stands deeper than the one before."""
    nested: list[re.Match[str]] = []
    for key in re.finditer(r'^( *).*?Parser key "([^"]+)":', text, re.MULTILINE):
        if not nested or len(key[1]) > len(nested[-1][1]):
            nested.append(key)
    return nested


def _allowed(reason: str) -> tuple[list[str], list[str]]:
    """What a value may be: kinds in words, and choices by name."""
    subtypes = re.search(r"^ *Subtypes: (.*)$", reason, re.MULTILINE)
    described = subtypes[1] if subtypes else reason
    classes = [name.rpartition(".")[2] for name in re.findall(r"<class '([\w.]+)'>", described)]
    kinds = [WORDS.get(name, f"a {name}") for name in classes if name not in ("NoneType", "Tensor")]
    literals = re.findall(r"Literal\[(.*?)\]", described)
    choices = [choice.strip(" '\"") for literal in literals for choice in literal.split(",")]
    return list(dict.fromkeys(kinds)), list(dict.fromkeys(choices))


def _no_gpu(text: str) -> str | None:
    if not NO_GPU.search(text):
        return None
    return "There is no GPU here that PyTorch can use: leave --trainer.accelerator out, or set it to cpu."


def _first_lines(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " ".join(lines[:3])
