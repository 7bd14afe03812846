"""Answers that are compressed (HTTP-PROTO-11)."""

import gzip
from typing import Final

from hutch.fakebroker.management.messages import Request, Response

#: RabbitMQ's server compresses bodies of more bytes than that.
_THRESHOLD: Final = 300


def encoded(request: Request, response: Response) -> Response:
    """The answer, compressed where that is worth it and the client takes it."""
    if len(response.body) <= _THRESHOLD or request.method == "HEAD" or not _takes_gzip(request):
        return response
    # The quickest level: most clients are on this machine.
    body = gzip.compress(response.body, compresslevel=1, mtime=0)
    return Response(response.status, body, (*response.headers, ("content-encoding", "gzip")))


def _takes_gzip(request: Request) -> bool:
    for part in request.headers.get("accept-encoding", "").split(","):
        coding, *parameters = (piece.strip().lower() for piece in part.split(";"))
        if coding == "gzip":
            return not any(_is_zero(parameter) for parameter in parameters)
    return False


def _is_zero(parameter: str) -> bool:
    name, _, value = parameter.partition("=")
    return name == "q" and value.strip("0.") == ""
