"""HTTP/1.1 around the API: one protocol object for each client. h11 reads and writes HTTP; it does no I/O."""

import asyncio
import logging
from email.utils import formatdate
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import h11

from hutch.fakebroker.management.messages import Request, Response
from hutch.fakebroker.server.ports import Address
from hutch.fakebroker.server.protocol import is_loopback

if TYPE_CHECKING:
    from hutch.fakebroker.management.listener import ManagementListener

_log = logging.getLogger("hutch.fakebroker")

#: Seconds for a whole request to arrive, and for a client to take its answer.
PATIENCE: Final = 30.0
#: Seconds that a connection may be idle between two requests.
IDLE: Final = 60.0
#: Bytes of a request's line and headers.
MAX_HEAD: Final = 64 * 1024


class HttpClient(asyncio.Protocol):
    """One HTTP client. It has one request at a time, and the socket is not read while that is answered."""

    def __init__(self, listener: "ManagementListener") -> None:
        self._listener: Final = listener
        self._loop: Final = asyncio.get_running_loop()
        self._http: Final = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD)
        self._limit: asyncio.TimerHandle | None = None
        self._idle = True
        self._head: h11.Request | None = None
        self._body = bytearray()
        self._is_too_large = False
        self._local = False
        self._is_streaming = False
        self._answering: asyncio.Task[None] | None = None
        self._room: Final = asyncio.Event()
        self.transport: asyncio.Transport

    # the stream

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Expect a request."""
        if not isinstance(transport, asyncio.Transport):
            raise TypeError(f"a stream transport is needed, not {transport!r}")
        self.transport = transport
        self._room.set()
        address: Address | None = transport.get_extra_info("sockname")
        self._local = is_loopback(address)
        self._listener.clients[self] = None
        self._give(PATIENCE)

    def data_received(self, data: bytes) -> None:
        """Take what came."""
        self._listener.progress += 1
        if self._is_streaming:  # no request can follow
            return
        if self._idle:
            self._idle = False
            self._give(PATIENCE)
        self._http.receive_data(data)
        self._read()

    def eof_received(self) -> bool:
        """A client that sends no more still gets its answer, if that has an end."""
        if self._is_streaming:
            return False
        self._http.receive_data(b"")
        self._read()
        return self._answering is not None

    def connection_lost(self, _error: Exception | None) -> None:
        """Forget the client."""
        self._stop_limit()
        self._room.set()
        if self._answering is not None:
            self._answering.cancel()
        self._listener.forget(self)

    def pause_writing(self) -> None:
        """The client does not take what it is sent."""
        self._room.clear()
        self._give(PATIENCE)

    def resume_writing(self) -> None:
        """It has taken that."""
        self._stop_limit()
        self._room.set()

    def cut(self) -> None:
        """End the stream."""
        self.transport.abort()

    def _give(self, seconds: float) -> None:
        """Cut the client unless it goes on within so many seconds."""
        self._stop_limit()
        self._limit = self._loop.call_later(seconds, self.transport.abort)

    def _stop_limit(self) -> None:
        if self._limit is not None:
            self._limit.cancel()
            self._limit = None

    # requests

    def _read(self) -> None:
        """Do what is at hand."""
        try:
            while self._answering is None and not self.transport.is_closing():
                event = self._http.next_event()
                if event is h11.NEED_DATA or event is h11.PAUSED:
                    return
                if isinstance(event, h11.ConnectionClosed):
                    self.transport.close()
                else:
                    self._take(event)
        except h11.RemoteProtocolError as error:
            self._refuse(error.error_status_hint)

    def _take(self, event: object) -> None:
        if isinstance(event, h11.Request):
            self._head = event
            if self._http.they_are_waiting_for_100_continue:
                self._send(h11.InformationalResponse(status_code=100, headers=[]))
        elif isinstance(event, h11.Data):
            if len(self._body) + len(event.data) > self._listener.api.max_body:
                self._is_too_large = True  # the rest is read and dropped: a client that still sends reads no answer
                self._body.clear()
            elif not self._is_too_large:
                self._body += event.data
        elif isinstance(event, h11.EndOfMessage) and self._head is not None:
            request = self._request(self._head)
            self._stop_limit()
            self.transport.pause_reading()
            self._answering = self._loop.create_task(self._answer(request))

    def _request(self, head: h11.Request) -> Request:
        headers: dict[str, str] = {}
        for name, value in head.headers:
            headers.setdefault(name.decode("latin-1"), value.decode("latin-1"))
        body = None if self._is_too_large else bytes(self._body)
        self._body.clear()
        self._is_too_large = False
        target = head.target.decode("latin-1")
        return Request(head.method.decode("latin-1"), target, headers, body, self._local)

    def _refuse(self, status: int) -> None:
        """Answer what is no HTTP, and end."""
        if self._http.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
            headers = [("content-length", "0"), ("connection", "close")]
            self._send(_head(status, headers), h11.EndOfMessage())
        self.transport.close()

    # answers

    def _send(self, *events: h11.Event) -> None:
        data = [self._http.send(event) for event in events]
        if not self.transport.is_closing():
            self.transport.write(b"".join(piece for piece in data if piece))

    async def _answer(self, request: Request) -> None:
        try:
            response = await self._listener.answer(request)
        except Exception:
            _log.exception("%s %s could not be answered", request.method, request.target)
            response = Response(500)
        self._listener.progress += 1
        await self._write(request, response)
        self._answering = None
        self._go_on()

    async def _write(self, request: Request, response: Response) -> None:
        headers = [("date", formatdate(usegmt=True)), ("server", "hutch"), *response.headers]
        if response.stream is None and response.status != 204:
            headers.append(("content-length", str(len(response.body))))
        head = _head(response.status, headers)
        if response.stream is None:
            has_body = response.body and request.method != "HEAD"
            self._send(head, *([h11.Data(data=response.body)] if has_body else []), h11.EndOfMessage())
            return
        self._send(head)
        self._is_streaming = True
        self.transport.resume_reading()  # to notice when the client disconnects
        async for piece in response.stream:
            self._send(h11.Data(data=piece))
            await self._room.wait()
        self._send(h11.EndOfMessage())

    def _go_on(self) -> None:
        """Expect the next request, once the answer is taken."""
        if self.transport.is_closing():
            return
        if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
            self.transport.close()
            return
        if not self._room.is_set():
            self._answering = self._loop.create_task(self._await_room())
            return
        self._http.start_next_cycle()
        self._head = None
        self._idle = not self._http.trailing_data[0]
        self._give(IDLE if self._idle else PATIENCE)
        self.transport.resume_reading()
        self._read()

    async def _await_room(self) -> None:
        await self._room.wait()
        self._answering = None
        self._go_on()


def _head(status: int, headers: list[tuple[str, str]]) -> h11.Response:
    """The head of an answer, with the status in words: some clients show no others."""
    return h11.Response(status_code=status, reason=HTTPStatus(status).phrase, headers=headers)
