"""Requests that wait for the model go through it together: as many as have come while it was at work."""

import asyncio
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import torch

from lit_ae.serving.scorer import Question
from lit_ae.serving.verdicts import verdicts_of_each
from pipelines.serving.figures import Figures
from pipelines.serving.served import Served


@dataclass
class Ticket:
    """A question that waits for its answer."""

    served: Served
    question: Question
    answer: asyncio.Future[Any] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    @property
    def rows(self) -> int:
        return len(self.question.asked.raw)

    def may_join(self, other: "Ticket") -> bool:
        """Whether both can go through the model together: verdicts alone, whose rows do not mind what is beside them."""
        return self.served is other.served and self.question.output == other.question.output == "verdict"


class Batches:
    """A queue before the model, and workers that each take from it all that may go together.

    Nothing waits for company: a request that finds a worker free goes alone and at once.

    Args:
        workers: batches at once.
        threads: of the CPU that PyTorch may use for each.
        most_rows: of a batch of several requests.
        figures: what is counted.
    """

    def __init__(self, workers: int, threads: int, most_rows: int, figures: Figures):
        self._figures, self._waiting = figures, deque[Ticket]()
        self._idle, self._most_rows = workers, most_rows
        self._pool = ThreadPoolExecutor(workers, "model", initializer=torch.set_num_threads, initargs=(threads,))
        self._tasks: set[asyncio.Task[None]] = set()

    async def ask(self, served: Served, question: Question) -> Any:
        """The model's answer to the question."""
        ticket = Ticket(served, question)
        self._waiting.append(ticket)
        self._start()
        return await ticket.answer

    def close(self) -> None:
        """Ends the workers when they are done."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _start(self) -> None:
        """Gives the next batch to a worker, if there is one of each."""
        if self._idle and (batch := self._next()):
            self._idle -= 1
            task = asyncio.get_running_loop().create_task(self._work(batch))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        self._figures.waiting.set(len(self._waiting))

    def _next(self) -> list[Ticket]:
        batch: list[Ticket] = []
        rows = 0
        while self._waiting:
            ticket = self._waiting[0]
            rows += ticket.rows
            if batch and (rows > self._most_rows or not ticket.may_join(batch[0])):
                break
            self._waiting.popleft()
            if not ticket.answer.done():  # whoever asked may have given up
                batch.append(ticket)
        return batch

    async def _work(self, batch: list[Ticket]) -> None:
        self._figures.batch_rows.observe(sum(ticket.rows for ticket in batch))
        try:
            await self._answer(batch)
        finally:
            self._idle += 1
            self._start()

    async def _answer(self, batch: list[Ticket]) -> None:
        questions = [ticket.question for ticket in batch]
        loop = asyncio.get_running_loop()
        try:
            answers = await loop.run_in_executor(self._pool, answers_of, batch[0].served, questions)
        except Exception as error:
            if len(batch) > 1:  # one of them is to blame, and the others shall not pay for it
                for ticket in batch:
                    await self._answer([ticket])
            elif not batch[0].answer.done():
                batch[0].answer.set_exception(error)
            return
        for ticket, answer in zip(batch, answers, strict=True):
            if not ticket.answer.done():
                ticket.answer.set_result(answer)


def answers_of(served: Served, questions: Sequence[Question]) -> list[Any]:
    """The answers to questions that may go through the model together, each as if it had been asked alone."""
    if len(questions) == 1:
        return [served.scorer.answer(questions[0])]
    assert served.scorer.detector is not None
    return list(verdicts_of_each(served.scorer.detector, [question.asked for question in questions]))
