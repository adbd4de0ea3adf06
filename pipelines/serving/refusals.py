"""What a request is refused with."""

from fastapi.responses import JSONResponse, Response


class Refused(Exception):
    """A request that gets no answer, with the reason in one sentence.

    Args:
        status: of HTTP.
        sentence: what is wrong, and what to do.
        retry_after: seconds after which the same request may be answered.
    """

    def __init__(self, status: int, sentence: str, retry_after: int | None = None):
        super().__init__(sentence)
        self.status, self.sentence, self.retry_after = status, sentence, retry_after

    def response(self, request_id: str) -> Response:
        """The refusal as it is sent."""
        headers = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
        if self.status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        return JSONResponse({"error": self.sentence, "request_id": request_id}, self.status, headers)
