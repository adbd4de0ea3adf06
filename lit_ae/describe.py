"""A model's make-up as plain JSON values, and the model made again from them.

A description names classes of this package alone, so that reading one never runs foreign code.
"""

import functools
import importlib
import inspect
from typing import Any


class Described:
    """Remembers the arguments that it was constructed with, so that :func:`describe` can tell them."""

    init_args: dict[str, Any]

    def __new__(cls, *args: Any, **kwargs: Any) -> "Described":
        self = super().__new__(cls)
        bound = inspect.signature(cls.__init__).bind_partial(self, *args, **kwargs)
        given = {name: value for name, value in bound.arguments.items() if name not in ("self", "kwargs")}
        object.__setattr__(self, "init_args", {**given, **bound.arguments.get("kwargs", {})})
        return self


def describe(value: Any) -> Any:
    """Plain values: ``{"object": path, "with": arguments}`` for an object, the same with ``"class"`` for a class."""
    if isinstance(value, functools.partial):
        made = next(part for part in (value.func, *value.args) if isinstance(part, type))
        return {**describe(made), "with": describe(value.keywords)}
    if isinstance(value, type):
        return {"class": f"{value.__module__}.{value.__qualname__}", "with": {}}
    if isinstance(value, Described):
        return {"object": f"{type(value).__module__}.{type(value).__qualname__}", "with": describe(value.init_args)}
    if isinstance(value, dict):
        return {key: describe(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [describe(item) for item in value]
    return value


def build(description: Any) -> Any:
    """The inverse of :func:`describe`; a class comes back with its arguments bound (``functools.partial``)."""
    if isinstance(description, list):
        return [build(item) for item in description]
    if not isinstance(description, dict):
        return description
    arguments = {key: build(item) for key, item in description.get("with", {}).items()}
    if "object" in description:
        return _class(description["object"])(**arguments)
    if "class" in description:
        return functools.partial(_class(description["class"]), **arguments)
    return {key: build(item) for key, item in description.items()}


def _class(path: str) -> type:
    module, _, name = path.rpartition(".")
    if module.split(".")[0] != __package__:
        raise ValueError(f"{path} is not a class of {__package__}, and a description may name no other.")
    return getattr(importlib.import_module(module), name)
