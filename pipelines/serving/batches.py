"""Requests that wait for the model go through it together: as many as have come while it was at work."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import torch

from lit_ae.serving.verdicts import verdicts_of_each
from pipelines.serving.bodies import Asked
from pipelines.serving.figures import Figures
from pipelines.serving.served import Served

MOST_BYTES = 1 << 20  # of the bodies that are read for one batch


class Task(NamedTuple):
    """A request whose body has come.

    Attributes:
        served: the version that will answer.
        body: of the request.
        read: makes a question of the body.
        write: makes bytes of the version, the output's name and its answer.
    """

    served: Served
    body: bytes
    read: Callable[[bytes, Served], Asked]
    write: Callable[[Served, str, Any], bytes]


class Done(NamedTuple):
    """A request that is answered: what was asked, the model's answer, and that as it is sent."""

    asked: Asked
    answer: Any
    written: bytes


class Batches:
    """A queue before the model, and workers that each take from it all that may go together.

    Nothing waits for company: a request that finds a worker free goes alone and at once. A worker reads the bodies,
    has the model answer them, and writes the answers, so that a request changes threads but twice.

    Args:
        workers: batches at once.
        threads: of the CPU that PyTorch may use for each.
        most: requests of a batch.
        figures: what is counted.
    """

    def __init__(self, workers: int, threads: int, most: int, figures: Figures):
        self._figures, self._idle, self._most = figures, workers, most
        self._waiting: deque[tuple[Task, asyncio.Future[Done]]] = deque()
        self._pool = ThreadPoolExecutor(workers, "model", initializer=torch.set_num_threads, initargs=(threads,))
        self._running: set[asyncio.Task[None]] = set()

    async def done(self, task: Task) -> Done:
        """The answered request.

        Raises:
            Refused: it can't be read.
        """
        result: asyncio.Future[Done] = asyncio.get_running_loop().create_future()
        self._waiting.append((task, result))
        self._start()
        return await result

    def close(self) -> None:
        """Ends the workers when they are done."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _start(self) -> None:
        """Gives the next batch to a worker, if there is one of each."""
        if self._idle and (batch := self._next()):
            self._idle -= 1
            running = asyncio.get_running_loop().create_task(self._work(batch))
            self._running.add(running)
            running.add_done_callback(self._running.discard)
        self._figures.waiting.set(len(self._waiting))

    def _next(self) -> list[tuple[Task, asyncio.Future[Done]]]:
        batch: list[tuple[Task, asyncio.Future[Done]]] = []
        size = 0
        while self._waiting and len(batch) < self._most:
            task, result = self._waiting[0]
            size += len(task.body)
            if batch and (task.served is not batch[0][0].served or size > MOST_BYTES):
                break
            self._waiting.popleft()
            if not result.done():  # whoever asked may have given up
                batch.append((task, result))
        return batch

    async def _work(self, batch: list[tuple[Task, asyncio.Future[Done]]]) -> None:
        tasks = [task for task, _ in batch]
        found = await asyncio.get_running_loop().run_in_executor(self._pool, all_done, tasks)
        rows = sum(len(one.asked.rows) for one in found if isinstance(one, Done))
        self._figures.batch_rows.observe(rows)
        for (_, result), one in zip(batch, found, strict=True):
            if result.done():
                continue
            if isinstance(one, Exception):
                result.set_exception(one)
            else:
                result.set_result(one)
        self._idle += 1
        self._start()


def all_done(tasks: Sequence[Task]) -> list[Done | Exception]:
    """Each request, answered by one version as if it were alone, or what it failed with."""
    asked = [_or_error(task.read, task.body, task.served) for task in tasks]
    verdicts = [one for one in asked if isinstance(one, Asked) and one.question.output == "verdict"]
    together = {} if len(verdicts) < 2 else _or_error(_answered, tasks[0].served, verdicts)
    found = together if isinstance(together, dict) else {}  # where all together fail, each is to fail by itself
    return [
        one if isinstance(one, Exception) else _or_error(_done, task, one, found.get(id(one)))
        for task, one in zip(tasks, asked, strict=True)
    ]


def _answered(served: Served, asked: Sequence[Asked]) -> dict[int, Any]:
    assert served.scorer.detector is not None
    answers = verdicts_of_each(served.scorer.detector, [one.question.asked for one in asked])
    return {id(one): answer for one, answer in zip(asked, answers, strict=True)}


def _done(task: Task, asked: Asked, answer: Any) -> Done:
    answer = task.served.scorer.answer(asked.question) if answer is None else answer
    return Done(asked, answer, task.write(task.served, asked.question.output, answer))


def _or_error(function: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return function(*arguments)
    except Exception as error:
        return error
