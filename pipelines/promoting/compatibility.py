"""Whether whoever asks the champion can ask another model in its place."""

from lit_ae.schema import Column
from lit_ae.spec import DataSpec


def incompatible(champion: DataSpec, model: DataSpec, champion_judges: bool, model_judges: bool) -> str | None:
    """What the champion takes or answers and the model does not; None for nothing.

    A column that the model does not need is no difference, and neither are other ranges or more categories.

    Args:
        champion: its spec.
        model: the other's.
        champion_judges: whether it has a detector, and so answers with verdicts.
        model_judges: whether the other has one.
    """
    if champion_judges and not model_judges:
        return "the champion answers with verdicts, and this model has no detector"
    if bool(champion.schema) != bool(model.schema) or bool(champion.tokenizer) != bool(model.tokenizer):
        return f"the champion takes {_form(champion)}, and this model {_form(model)}"
    if champion.schema and model.schema:
        return _columns(champion, model)
    if champion.tokenizer and model.tokenizer:
        unread = sorted(set(champion.vocabulary) - set(model.vocabulary))
        return f"this model can't read {' '.join(unread[:5])}, which the champion can" if unread else None
    if champion.shape != model.shape:
        return f"the champion takes samples of shape {list(champion.shape)}, and this model {list(model.shape)}"
    return None


def _form(spec: DataSpec) -> str:
    return "a table" if spec.schema else "strings" if spec.tokenizer else "numbers"


def _columns(champion: DataSpec, model: DataSpec) -> str | None:
    assert champion.schema is not None
    assert model.schema is not None
    known = {column.name: column for column in champion.schema.columns}
    for column in model.schema.columns:
        if why := _column(column, known.get(column.name)):
            return why
    if model.schema.missing == "refuse" and champion.schema.missing != "refuse":
        return "the champion takes missing values, and this model refuses them"
    steps, known_steps = model.shape[:-1], champion.shape[:-1]
    if steps != known_steps:
        return f"the champion looks at {_rows(known_steps)}, and this model at {_rows(steps)}"
    return None


def _column(column: Column, known: Column | None) -> str | None:
    if known is None:
        return f"it needs the column '{column.name}', which the champion does not"
    if column.kind != known.kind:
        return f"the column '{column.name}' is {column.kind}, and {known.kind} for the champion"
    lost = [category for category in known.categories if category not in column.categories]
    if lost:
        return f"it does not know the category '{lost[0]}' of '{column.name}', which the champion does"
    return None


def _rows(steps: tuple[int, ...]) -> str:
    return f"windows of {steps[0]} rows" if steps else "single rows"
