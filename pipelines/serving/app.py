"""The web application: which question is asked at which address."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from typing import Annotated, Any, Literal

from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response

from lit_ae.errors import UserError
from pipelines.serve import Serving
from pipelines.serving.answers import written_invocation, written_score
from pipelines.serving.batches import Batches, Task
from pipelines.serving.bodies import JSON, Asked, read_invocation, read_score
from pipelines.serving.figures import Figures
from pipelines.serving.gate import App, Gate
from pipelines.serving.keeper import Keeper
from pipelines.serving.openapi import describe
from pipelines.serving.refusals import Refused
from pipelines.serving.row_log import RowLog, Scored
from pipelines.serving.served import Served

Reader = Callable[..., Asked]
Writer = Callable[[Served, str, Any], bytes]
Output = Literal["verdict", "reconstruction", "latent", "error", "sample"]


class Desk:
    """Takes a request from its bytes to its answer: reads it, has the model answer it, writes and keeps the answer.

    Args:
        asked: what is served, and within what limits.
        keeper: has the model.
        figures: what is counted.
        log: of scored rows, if there is one.

    Attributes:
        is_stopping: whether the server has been told to stop.
    """

    def __init__(self, asked: Serving, keeper: Keeper, figures: Figures, log: RowLog | None):
        self.asked, self.keeper, self.figures, self.log = asked, keeper, figures, log
        self.batches = Batches(asked.workers, asked.threads, asked.max_batch, figures)
        self.is_stopping = False

    async def answer(self, request: Request, read: Reader, write: Writer) -> Response:
        """The answer of one version from beginning to end, whatever becomes of the alias meanwhile."""
        served, passage = self.keeper.current, request.scope["lit_ae"]
        body, at = await request.body(), datetime.now(UTC)
        passage.facts.update(bytes=len(body), model_version=served.version)
        reader = partial(read, content_type=request.headers.get("content-type", ""))
        asked, answer, written = await self.batches.done(Task(served, body, reader, write))
        output, rows = asked.question.output, len(asked.rows)
        passage.facts.update(rows=rows, output=output)
        self.figures.count(output, answer, rows)
        if self.log is not None and output == "verdict":
            self.log.add(Scored(at, passage.request_id, served, asked, answer))
        return Response(written, media_type=JSON)

    def close(self) -> None:
        """Ends threads, and writes what the log still holds."""
        self.keeper.end()
        self.batches.close()
        if self.log is not None:
            self.log.close()


def application(desk: Desk, key: bytes | None) -> App:
    """The whole server as an ASGI application."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(desk.close)

    app = FastAPI(lifespan=lifespan, redoc_url=None)
    app.openapi = lambda: describe(app, desk.keeper.current, key is not None)  # type: ignore[method-assign]
    _refuse_in_one_sentence(app)
    _answer_questions(app, desk)
    _answer_watchers(app, desk)
    return Gate(app, desk.asked, key, desk.figures)


def _answer_questions(app: FastAPI, desk: Desk) -> None:
    limit = desk.asked.max_rows

    @app.post("/score", summary="Score rows")
    async def score(
        request: Request,
        output: Annotated[Output | None, Query(description="what comes back; by default the model's own")] = None,
        seed: Annotated[int, Query(ge=0, lt=2**63, description="of samples")] = 0,
    ) -> Response:
        """Score, p-value, verdict and reasons of each row; or another output of the model."""
        params = {"seed": seed} | ({"output": output} if output else {})
        read = partial(read_score, params=params, most_rows=limit)
        return await desk.answer(request, read, written_score)

    @app.post("/invocations", summary="Score rows by MLflow's protocol")
    async def invocations(request: Request) -> Response:
        """For clients of `mlflow models serve`."""
        read = partial(read_invocation, most_rows=limit)
        return await desk.answer(request, read, lambda served, output, answer: written_invocation(answer))

    @app.post("/reload", summary="Look at the alias now")
    def reload() -> dict[str, Any]:
        """Serves the version that the alias points to, and says which answers now."""
        before = desk.keeper.current.version
        try:
            now = desk.keeper.check().version
        except UserError as error:
            raise Refused(409, str(error)) from error
        return {"model_version": now, "was": before}


def _answer_watchers(app: FastAPI, desk: Desk) -> None:
    @app.get("/health", summary="Is the process alive?")
    @app.get("/ping", include_in_schema=False)
    async def health() -> dict[str, str]:
        return {"status": "alive"}

    @app.get("/ready", summary="Should requests be sent here?")
    async def ready() -> JSONResponse:
        """200 while a model answers, 503 while the server stops; and which version was refused, if any."""
        refused = desk.keeper.refused
        said = {"ready": not desk.is_stopping, "model_version": desk.keeper.current.version, "refused": None}
        if refused is not None:
            said["refused"] = {"model_version": refused.version, "reason": refused.reason}
        return JSONResponse(said, 503 if desk.is_stopping else 200)

    @app.get("/metrics", summary="Figures for Prometheus")
    async def metrics() -> Response:
        return Response(desk.figures.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    @app.get("/version", summary="What answers")
    async def versions() -> dict[str, Any]:
        served = desk.keeper.current
        about = {"model": served.name, "model_version": served.version, "alias": desk.keeper.alias}
        about |= {"variant": type(served.scorer.model).__name__, "data": served.spec.name}
        return {**about, "run_id": served.description.run_id, "mlflow": version("mlflow")}


def _refuse_in_one_sentence(app: FastAPI) -> None:
    """Everything that is refused goes out in the same form."""

    def refusal(request: Request, refused: Refused) -> Response:
        return request.scope["lit_ae"].refusal(refused)

    async def wrong_option(request: Request, error: Any) -> Response:
        first = error.errors()[0]
        return refusal(request, Refused(400, f"The option {first['loc'][-1]} is wrong: {first['msg']}."))

    async def wrong_address(request: Request, error: Any) -> Response:
        sentence = f"There is no {request.method} {request.url.path}: see /docs."
        return refusal(request, Refused(error.status_code, sentence))

    async def failure(request: Request, error: Exception) -> Response:
        return refusal(
            request, Refused(500, "The server failed at this request: its log says why, by the request's id.")
        )

    app.add_exception_handler(Refused, refusal)  # type: ignore[arg-type]
    app.add_exception_handler(RequestValidationError, wrong_option)
    app.add_exception_handler(Exception, failure)
    for status in (404, 405):
        app.add_exception_handler(status, wrong_address)
