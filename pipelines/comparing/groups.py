"""Contestants that differ by their seed alone, together; and what to call them."""

from collections.abc import Sequence
from dataclasses import dataclass

from lit_ae.errors import UserError
from pipelines.catalogue import flatten
from pipelines.comparing.contestants import Contestant

MOST_SETTINGS = 3  # that a name holds


@dataclass(frozen=True)
class Group:
    """Trainings that differ by their seed alone.

    Attributes:
        name: what tells it from the others.
        members: one for each seed.
    """

    name: str
    members: tuple[Contestant, ...]


def grouped(contestants: Sequence[Contestant]) -> tuple[list[Group], list[str]]:
    """The groups in the order of their first members, and a sentence for each run that was left out.

    A second training of the same make and seed tells nothing of seeds, and is left out.
    """
    members: dict[str, dict[object, Contestant]] = {}
    left_out = []
    for one in contestants:
        of_make = members.setdefault(one.make, {})
        key = one.address if one.seed is None else one.seed
        if key in of_make:
            left_out.append(f"{one.address} repeats {of_make[key].address}, seed and all, and is left out.")
        else:
            of_make[key] = one
    groups = [tuple(of_make.values()) for of_make in members.values()]
    return [Group(name, group) for name, group in zip(names(groups), groups, strict=True)], left_out


def names(groups: Sequence[Sequence[Contestant]]) -> list[str]:
    """A name for each group: what its members' have in common, and where that is no name, the settings that differ."""
    found = [common(group) for group in groups]
    for name in {name for name in found if found.count(name) > 1}:
        places = [place for place, own in enumerate(found) if own == name]
        settings = [dict(flatten(groups[place][0].config or {})) for place in places]
        keys = [key for key in dict.fromkeys(key for own in settings for key in own) if tells_apart(key)]
        differing = [key for key in keys if len({own.get(key) for own in settings}) > 1][:MOST_SETTINGS]
        for place, own in zip(places, settings, strict=True):
            told = ", ".join(setting(key, own[key]) for key in differing if own.get(key) is not None)
            found[place] = f"{name}, {told}" if told else name
    clash = {name for name in found if found.count(name) > 1}
    return [f"{n} ({g[0].address[-8:]})" if n in clash else n for n, g in zip(found, groups, strict=True)]


def setting(key: str, value: str | None) -> str:
    """A setting as a few words: ``model.init_args.beta`` and 4.0 as ``beta 4.0``."""
    name = key.removesuffix(".class_path").rpartition(".")[2]
    return f"{name} {value.rpartition('.')[2] if value and value.startswith(('lit_ae.', 'data.')) else value}"


def tells_apart(key: str) -> bool:
    """Whether a setting is about the model, and not about seeds or bookkeeping."""
    return key.partition(".")[0] in ("model", "data", "trainer", "detection", "early_stopping")


def common(group: Sequence[Contestant]) -> str:
    """The words that all members' names begin with, or the name of the only one."""
    if len(group) == 1:
        return group[0].name
    words = [one.name.split() for one in group]
    same = []
    for column in zip(*words, strict=False):
        if len(set(column)) > 1:
            break
        same.append(column[0])
    while same and same[-1].strip(",") == "seed":
        same.pop()
    return " ".join(same).rstrip(",") or group[0].name


def baseline_of(groups: Sequence[Group], address: str | None) -> Group | None:
    """The group that holds the model named as the baseline; None where none was named.

    Raises:
        UserError: it is none of the models.
    """
    if address is None:
        return None
    for group in groups:
        if any(address in (one.address, one.run_id, one.name) for one in group.members) or address == group.name:
            return group
    raise UserError(f"--baseline {address} is none of the models: it may be {', '.join(g.name for g in groups)}.")
