"""Named tensors in groups, as one flat table that safetensors can hold, and back."""

from collections.abc import Mapping
from typing import Any, TypeVar

from torch import Tensor

Group = TypeVar("Group", bound=tuple[Any, ...])


def pack(prefix: str, group: Any) -> dict[str, Tensor]:
    """The tensors of a NamedTuple as ``prefix.field``; what is None is left out, a group or a field of it."""
    fields = {} if group is None else group._asdict()
    return {f"{prefix}.{name}": tensor.contiguous() for name, tensor in fields.items() if tensor is not None}


def unpack(kind: type[Group], prefix: str, tensors: Mapping[str, Tensor]) -> Group | None:
    """The NamedTuple that :func:`pack` was given."""
    values: list[Any] = [tensors.get(f"{prefix}.{name}") for name in kind._fields]  # type: ignore[attr-defined]
    return None if all(value is None for value in values) else kind(*values)
