"""What every request passes: its id, the key, how many may be under way and for how long, the log and the figures."""

import asyncio
import hmac
import logging
import re
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from uuid import uuid4

from fastapi.responses import Response

from pipelines.serve import Serving
from pipelines.serving.figures import Figures
from pipelines.serving.logs import say
from pipelines.serving.refusals import Refused

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

OPEN = frozenset({"/health", "/ping", "/ready", "/metrics", "/version"})  # what watches the server has no key
SCORING = frozenset({"/score", "/invocations"})
KNOWN = OPEN | SCORING | {"/reload", "/docs", "/openapi.json"}
NO_ANSWER = 499  # the client left before it
REQUEST_ID = re.compile(r"[\w.:@/+=-]{1,128}", re.ASCII)


class Gate:
    """An ASGI application around another.

    Args:
        app: what answers.
        asked: the limits.
        key: of the API; None for none.
        figures: what is counted.
        facts: told with every request in the log.
    """

    def __init__(self, app: App, asked: Serving, key: bytes | None, figures: Figures):
        self._app, self._asked, self._key, self._figures = app, asked, key, figures
        self._under_way = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        passage = Passage(scope, send)
        try:
            await self._let_in(scope, receive, passage)
        except Refused as refused:
            if passage.status == NO_ANSWER:
                await passage.refusal(refused)(scope, receive, passage.send)
        except Exception as error:  # the application has answered it
            say("A request failed", logging.ERROR, error=error, request_id=passage.request_id)
        finally:
            self._note(scope, passage, time.perf_counter() - began)

    async def _let_in(self, scope: Scope, receive: Receive, passage: "Passage") -> None:
        path = scope["path"]
        if self._key is not None and path not in OPEN and not self._has_key(scope):
            raise Refused(401, "The API key is missing or wrong: send it as 'Authorization: Bearer <key>'.")
        if path not in SCORING:
            await self._app(scope, receive, passage.send)
            return
        if self._under_way >= self._asked.max_waiting:
            raise Refused(503, f"{self._under_way} requests are under way already: try again.", retry_after=1)
        self._under_way += 1
        self._figures.under_way.inc()
        try:
            async with asyncio.timeout(self._asked.max_seconds):
                await self._app(scope, limited(receive, scope, self._asked.max_bytes), passage.send)
        except TimeoutError:
            raise Refused(
                503,
                f"The answer took more than {self._asked.max_seconds:g} s: try again, or send fewer rows.",
                retry_after=1,
            ) from None
        finally:
            self._under_way -= 1
            self._figures.under_way.dec()

    def _has_key(self, scope: Scope) -> bool:
        assert self._key is not None
        headers = dict(scope["headers"])
        bearer = headers.get(b"authorization", b"")
        given = bearer[7:] if bearer[:7].lower() == b"bearer " else headers.get(b"x-api-key", b"")
        return hmac.compare_digest(given.strip(), self._key)

    def _note(self, scope: Scope, passage: "Passage", seconds: float) -> None:
        path = scope["path"] if scope["path"] in KNOWN else "other"
        self._figures.requests.labels(path, passage.status).inc()
        self._figures.seconds.labels(path).observe(seconds)
        quiet = path in OPEN and passage.status < 400
        say("request", logging.DEBUG if quiet else logging.INFO, request_id=passage.request_id, method=scope["method"],
            path=scope["path"], status=passage.status, ms=round(1000 * seconds, 2), **passage.facts)  # fmt: skip


class Passage:
    """One request's way out.

    Attributes:
        request_id: the header's, or a new one.
        status: of the answer; NO_ANSWER as long as there is none.
        facts: what the log shall say of it besides.
    """

    def __init__(self, scope: Scope, send: Send):
        self._send, self.status = send, NO_ANSWER
        self.facts: dict[str, Any] = {}
        given = dict(scope["headers"]).get(b"x-request-id", b"").decode("latin-1")
        self.request_id = given if REQUEST_ID.fullmatch(given) else uuid4().hex
        scope["lit_ae"] = self

    async def send(self, message: Message) -> None:
        """Sends a message of the answer, with the request's id among the headers."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*message.get("headers", ()), (b"x-request-id", self.request_id.encode())]
        await self._send(message)

    def refusal(self, refused: Refused) -> Response:
        """The answer to a request that is refused; the log tells the reason too."""
        self.facts["reason"] = refused.sentence
        return refused.response(self.request_id)


def limited(receive: Receive, scope: Scope, most_bytes: int) -> Receive:
    """``receive`` that refuses a body of more bytes, by what is announced or by what comes."""
    announced = dict(scope["headers"]).get(b"content-length", b"0")
    so_far, is_whole = 0, False

    async def counted() -> Message:
        nonlocal so_far, is_whole
        if announced.isdigit() and int(announced) > most_bytes:
            raise too_long(most_bytes)
        message = await receive()
        if message["type"] == "http.disconnect" and not is_whole:
            raise Refused(400, "The client left before the whole body had come.")
        is_whole = not message.get("more_body", False)
        so_far += len(message.get("body", b""))
        if so_far > most_bytes:
            raise too_long(most_bytes)
        return message

    return counted


def too_long(most_bytes: int) -> Refused:
    return Refused(413, f"The body has more than {most_bytes:,} bytes: send the rows in parts.")
