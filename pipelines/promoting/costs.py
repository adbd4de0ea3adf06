"""What models cost to ask: measured in one process, in turns, so that whatever else the machine does falls on both."""

import statistics
import time
from collections.abc import Sequence
from typing import Any

from data import LitData
from pipelines.promoting.clean import as_asked
from pipelines.promoting.contender import Contender
from pipelines.promoting.evidence import Cost
from pipelines.seen import SeenBy

SINGLE_TURNS, BATCH_TURNS, BATCH = 50, 5, 1000


def costs(contenders: Sequence[Contender], data: LitData) -> list[Cost]:
    """The cost of each, asked as a server asks it, for rows of the test split."""
    single = seconds([(one, asked(one, data, 1)) for one in contenders], SINGLE_TURNS)
    batches = seconds([(one, asked(one, data, BATCH)) for one in contenders], BATCH_TURNS)
    rows = min(BATCH, data.split_sizes["test"])
    return [
        Cost(1000 * one, rows / many, contender.size)
        for contender, one, many in zip(contenders, single, batches, strict=True)
    ]


def asked(contender: Contender, data: LitData, rows: int) -> Any:
    """The first test rows in the form in which the model is asked."""
    spec = contender.model.spec
    return as_asked(SeenBy(spec, data).rows["test"].raw[:rows], spec)


def seconds(questions: Sequence[tuple[Contender, Any]], turns: int) -> list[float]:
    """The median time of each answer; the first turn, which warms up, does not count."""
    taken: list[list[float]] = [[] for _ in questions]
    for turn in range(turns + 1):
        for place, (contender, question) in enumerate(questions):
            began = time.perf_counter()
            contender.scorer.predict(question)
            if turn:
                taken[place].append(time.perf_counter() - began)
    return [statistics.median(times) for times in taken]
