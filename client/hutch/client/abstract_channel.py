"""What connection and channel have in common: requests that wait for their answer."""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Mapping
from struct import error as StructError
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar

from hutch.client.exceptions import AMQPError, FrameSyntaxError, RecoverableConnectionError
from hutch.client.late import tell_noticed
from hutch.client.link import Link
from hutch.client.message import ReceivedMessage
from hutch.client.promise import ensure_promise, promise
from hutch.client.waiting import Request, Waiting
from hutch.wire.content import Content
from hutch.wire.declaration import Method
from hutch.wire.fields import FieldError

if TYPE_CHECKING:
    from hutch.client.connection import Connection

_Reply = TypeVar("_Reply", bound=Method)
#: The handler of a method. It gets the channel or connection, the method and its content.
Handler = Callable[[Any, Any, Content | None], None]


def frame_of(method: Method, number: int) -> bytes:
    """The method's frame on the channel of that number.

    Raises:
        FrameSyntaxError: a table holds what no field can.
        TypeError: an argument of a type that its field does not have.
        ValueError: one that its field has no room for.
    """
    try:
        return method.frame(number)
    except FieldError as error:
        raise FrameSyntaxError(str(error), (method.CLASS_ID, method.METHOD_ID)) from None
    except (StructError, AttributeError, TypeError) as error:
        raise TypeError(f"an argument does not fit its field: {method}: {error}") from None


class AbstractChannel(ABC):
    """Base of :class:`Connection`, which counts as channel 0, and :class:`Channel`.

    A broker answers the requests of one channel in their order; so an answer belongs to the oldest open request, be its
    caller still waiting or not.

    Attributes:
        connection: the connection, ``None`` once closed.
        channel_id: the number, ``None`` once closed.
        is_closing: whether a close is sent and not yet answered.
        auto_decode: whether a body that names its ``content_encoding`` is made text.
        method_queue: never used, as in py-amqp.
    """

    #: The handlers of methods that arrive, also of answers.
    HANDLERS: ClassVar[Mapping[type[Method], Handler]] = {}
    #: The methods that close the channel or connection.
    _CLOSES: ClassVar[frozenset[type[Method]]] = frozenset()

    _on_open: Any = None
    _has_opened = False

    def __init__(self, connection: "Connection", channel_id: int) -> None:
        self.connection: Connection | None = connection
        self.channel_id: int | None = channel_id
        self.is_closing = False
        self.auto_decode = False
        self.method_queue: list[Any] = []
        self._number = channel_id
        self._link: Link | None = None
        self._requests: deque[Request] = deque()
        self._waits: list[Waiting] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def on_open(self) -> Any:
        """A promise, fulfilled with it each time it has been opened; most are never asked for."""
        if self._on_open is None:
            self._on_open = promise()
            if self._has_opened:
                self._on_open(self)
        return self._on_open

    @on_open.setter
    def on_open(self, on_open: Any) -> None:
        self._on_open = on_open

    def _tell_open(self) -> None:
        self._has_opened = True
        if self._on_open is not None:
            ensure_promise(self._on_open)(self)

    def then(self, on_success: Any, on_error: Callable[[BaseException], object] | None = None) -> Any:
        """Have ``on_success`` called with this once it is open, at once if it is; or ``on_error`` with why it failed.

        Where there is an :attr:`on_open` with a function, it is called with what that returned, as promises are. Both
        may be promises too (:mod:`hutch.client.promise`); returns the promise of ``on_success``.
        """
        self.on_open = ensure_promise(self.on_open)
        return self.on_open.then(on_success, on_error)

    @abstractmethod
    def close(self) -> None:
        """End it."""

    def receive_method(self, method: Method, content: Content | None) -> None:
        """Take a method that the broker sent: the answer to a request, or news. The link calls it.

        While it is closing, all but what closes it is dropped.
        """
        if self.is_closing and type(method) not in self._CLOSES:
            return
        requests = self._requests
        waiting = None
        if requests and type(method) in requests[0].replies:
            request = requests.popleft()
            waiting = request.waiting
            request.reply = method
            request.content = content
            if request.on_reply is not None:
                request.on_reply(method)
            request.ready = True
        elif self._waits:
            waiting = self._waiting_for(type(method))
        handler = self.HANDLERS.get(type(method))
        if waiting is not None:
            self._tell(waiting, handler, method, content)
        elif handler is not None:
            handler(self, method, content)

    def _waiting_for(self, kind: type[Method]) -> Waiting | None:
        """Who waits for a method of that kind that is no answer; the one who came last."""
        return next((waiting for waiting in reversed(self._waits) if kind in waiting.kinds), None)

    def _tell(self, waiting: Waiting, handler: Handler | None, method: Method, content: Content | None) -> None:
        """Take a method that somebody waits for by its ids, and tell them."""
        still_waits = waiting in self._waits
        if still_waits:
            self._waits.remove(waiting)
        try:
            if handler is not None:
                handler(self, method, content)
        except Exception as error:
            waiting.error = error
            raise
        message = None
        if content is not None:
            message = ReceivedMessage(self, content.body, content.properties)
            if self.auto_decode:
                message.decode_body()
        if still_waits:
            waiting.take(method, message)

    def _opened(self, name: str) -> Link:
        """The link, for a call that needs one."""
        if self._link is None:
            raise RecoverableConnectionError(f"{name}: {self.closed_text}")
        return self._link

    @property
    def closed_text(self) -> str:
        """The text of the error that a call on a closed channel or connection raises."""
        return "connection already closed"

    def awaits(self, name: str) -> bool:
        """Whether a method of that name was sent by a call that waits for its answer now."""
        return any(request.awaited and request.name == name for request in self._requests)

    def _send(self, method: Method) -> None:
        """Send a method that nobody answers."""
        self._opened(method.NAME).send(frame_of(method, self._number))

    def _call(self, method: Method, reply: type[_Reply], on_reply: Callable[[_Reply], None] | None = None) -> _Reply:
        """Send a method and wait for its answer; ``on_reply`` is called with it before anything else is handed on."""
        request = Request(method.NAME, (reply,), on_reply)
        request.awaited = True
        link = self._submit(method, request)
        try:
            link.wait_for(request, None)
        except AMQPError as error:
            tell_noticed(error, f"while waiting for {request}")
            raise
        answer: _Reply = request.reply
        return answer

    def _call_unless(self, nowait: bool, method: Method, reply: type[_Reply]) -> _Reply | None:
        """:meth:`_call`; with ``nowait`` :meth:`_send`, for the broker will not answer."""
        if nowait:
            self._send(method)
            return None
        return self._call(method, reply)

    def _post(self, method: Method, reply: type[Method]) -> Request:
        """Send a method whose answer comes, but is not awaited here."""
        request = Request(method.NAME, (reply,))
        self._submit(method, request)
        return request

    def _submit(self, method: Method, request: Request) -> Link:
        """Send a method, with its request noted; returns the link, which another thread may close at any moment."""
        link = self._link or self._opened(method.NAME)
        frame = frame_of(method, self._number)
        with link.requesting:
            self._requests.append(request)
            link.send(frame)
        return link

    def _fail_requests(self, error: Exception) -> None:
        """End all calls further out that wait for an answer: none will come any more."""
        for request in self._requests:
            request.error = error
        for waiting in self._waits:
            waiting.error = error
        self._requests.clear()
        self._waits.clear()
