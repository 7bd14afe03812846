"""Methods by their ids and encoded arguments: what lies below the methods with names of their own, as in py-amqp.

Ids are pairs of class id and method id, as :mod:`hutch.client.spec` has them. The methods with names do not come by
here, on their way out or in, but share the order of requests and answers.
"""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from hutch.client.abstract_channel import AbstractChannel
from hutch.client.exceptions import AMQPError, AMQPNotImplementedError, FrameSyntaxError, MethodSig
from hutch.client.late import tell_noticed
from hutch.client.link import Link
from hutch.client.message import wire_content
from hutch.client.method_framing import method_frames
from hutch.client.promise import promise
from hutch.client.reader import ToPeers, Violation, server_method
from hutch.client.serialization import dumps
from hutch.client.waiting import Request, Waiting
from hutch.wire.content import Content
from hutch.wire.declaration import Method
from hutch.wire.methods import METHODS, decode_method

_BY_NAME = {kind.__name__: kind for kind in METHODS.values()}


def _method_id(sig: MethodSig) -> int:
    return sig[0] << 16 | sig[1]


def _kind(sig: MethodSig) -> type[Method]:
    kind = METHODS.get(_method_id(sig))
    if kind is None:
        raise AMQPNotImplementedError(f"no method has the ids {sig!r}")
    return kind


class RawMethods(AbstractChannel):
    """Sending, awaiting and taking methods by their ids. Base of connections and channels."""

    def send_method(
        self,
        sig: MethodSig,
        format: str | None = None,  # noqa: A002  (py-amqp's name)
        args: Sequence[Any] | None = None,
        content: Any = None,
        wait: MethodSig | list[MethodSig] | None = None,
        callback: Any = None,
        returns_tuple: bool = False,
    ) -> Any:
        """Send a method: ``args`` written as the letters of ``format`` say (:mod:`hutch.client.serialization`).

        ``content`` is the message that goes with it. ``callback``, a function or a promise, is called without arguments
        once it is sent. With ``wait``, the ids of one method or a list of them, wait for it and return what
        :meth:`wait` returns; else return a promise that is fulfilled.

        Raises:
            FrameSyntaxError: values that do not fit their letters, or no letters for them.
            RecoverableConnectionError: channel or connection are closed.
            OSError, AMQPError: as for any other method.
        """
        kind = METHODS.get(_method_id(sig))
        link = self._opened(kind.NAME if kind else f"method {sig[0]}/{sig[1]}")
        if args and not format:
            raise FrameSyntaxError(f"no format for the arguments {args!r}", sig)
        if kind is not None and kind.CONTENT and content is None:
            raise FrameSyntaxError(f"{kind.NAME} goes with a message, given as content", sig)
        arguments = dumps(format, args or ()) if format else b""
        frames = method_frames(self._number, sig, arguments, content, link.frame_limit)
        request = None
        waiting = Waiting(map(_kind, wait if isinstance(wait, list) else [wait]), None) if wait else None
        with link.requesting:
            with suppress(KeyError, ValueError):  # a method that nobody knows, or arguments that the broker will refuse
                method = decode_method(_method_id(sig).to_bytes(4) + arguments)
                request = self._expect(method)
                self._note_sent(method)
            if waiting is not None:
                self._begin_waiting(waiting, request)
            link.send(frames)
        sent = promise()
        if callback is not None:
            sent.then(callback)
        sent()
        if waiting is None:
            return sent
        return self._finish_waiting(link, waiting, None, returns_tuple)

    def wait(
        self,
        method: MethodSig | list[MethodSig],
        callback: Any = None,
        timeout: float | None = None,
        returns_tuple: bool = False,
    ) -> Any:
        """Wait for a method, or one of several, within ``timeout`` seconds in all (``None``: the read timeout).

        Ids are pairs. It may be the answer to a request that :meth:`send_method` has sent and nobody waits for, or come
        unasked; the answers that other calls wait for are theirs.

        ``callback``, a function or a promise, is called with the ids and the arguments, a message last; then ``()`` is
        returned. Else the first argument is, ``()`` for a method without any; with ``returns_tuple`` all of them.

        Raises:
            TimeoutError: it did not come in time.
            AMQPNotImplementedError: no method has these ids.
            RecoverableConnectionError: channel or connection are closed.
            OSError, AMQPError: as for any other wait; what ``callback`` raises.
        """
        waiting = Waiting(map(_kind, method if isinstance(method, list) else [method]), callback)
        link = self._opened(str(waiting))
        with link.requesting:
            requests = (request for request in self._requests if not request.awaited)
            self._begin_waiting(waiting, next((one for one in requests if waiting.kinds & {*one.replies}), None))
        return self._finish_waiting(link, waiting, timeout, returns_tuple)

    def dispatch_method(self, method_sig: MethodSig, payload: bytes, content: Any) -> None:
        """Take a method as if the broker had sent it, with the message it carries, if any.

        ``payload`` is that of its frame, ids first. A frame handler's callback ends here, so a class that overrides
        this gets all methods of its channels, see :mod:`hutch.client.method_framing`.

        Raises:
            AMQPNotImplementedError: no method has these ids.
            FrameSyntaxError: bytes that are not its arguments, or the content is missing.
            AMQPError: the error that the method reports.
            Exception: what a callback raises.
        """
        try:
            method = server_method(_method_id(method_sig).to_bytes(4) + payload[4:])
            whole = None
            if method.CONTENT:
                if content is None:
                    raise FrameSyntaxError(f"{method.NAME} without its content", method_sig)
                properties, body = wire_content(content)
                whole = Content(method, properties, body)
            ToPeers({self._number: self}).take(self._number, method, whole)
        except Violation as violation:
            raise violation.error from violation

    def _expect(self, method: Method) -> Request | None:
        """Note that ``method`` will be answered, if it will."""
        if not method.REPLIES or getattr(method, "nowait", False):
            return None
        request = Request(method.NAME, tuple(_BY_NAME[name] for name in method.REPLIES))
        self._requests.append(request)
        return request

    def _note_sent(self, method: Method) -> None:
        """Do what sending ``method`` asks for beside waiting for its answer."""

    def _begin_waiting(self, waiting: Waiting, request: Request | None) -> None:
        if request is not None and waiting.kinds & {*request.replies}:
            request.awaited = True
            request.waiting = waiting
        self._waits.append(waiting)
        self._listen_in()

    def _finish_waiting(self, link: Link, waiting: Waiting, timeout: float | None, returns_tuple: bool) -> Any:
        try:
            link.wait_for(waiting, timeout)
        except AMQPError as error:
            tell_noticed(error, f"while waiting for {waiting}")
            raise
        finally:
            for request in tuple(self._requests):
                if request.waiting is waiting:  # it did not come; somebody may wait for it again
                    request.waiting, request.awaited = None, False
            if waiting in self._waits:
                self._waits.remove(waiting)
            self._listen_in()
        return waiting.result(returns_tuple)

    def _listen_in(self) -> None:
        """Have a look at what comes by paths of its own, if somebody waits for it. Channels have such paths."""
