"""Messages: body and properties, as an application makes them and as they come from a broker."""

from collections.abc import Mapping
from struct import Struct
from struct import error as StructError
from typing import TYPE_CHECKING, Any, ClassVar, Final, Generic, Self, TypeVar, cast, overload

from hutch.client.exceptions import FrameSyntaxError
from hutch.wire.fields import FieldError
from hutch.wire.methods import BasicDeliver, BasicGetOk, BasicReturn
from hutch.wire.properties import FLAGS, NO_PROPERTIES, PROPERTIES, decode_properties, encode_properties

_BASIC_PUBLISH = (60, 40)
_CONTENT_TYPE = FLAGS["content_type"] >> 8
_CONTENT_ENCODING = FLAGS["content_encoding"] >> 8

#: py-amqp's names of the properties, with the names they have on the wire.
_WIRE_NAMES: Final = {"application_headers" if name == "headers" else name: name for name in FLAGS}

# Properties that were encoded before, by their items. Messages without headers or an id of their own are much alike.
_ENCODED: dict[tuple[tuple[str, Any], ...], bytes] = {}
_ENCODED_LIMIT = 512
_UNLIKE = frozenset({"application_headers", "message_id", "correlation_id", "timestamp"})


_CONTENT_HEADER = Struct(">HHQ")
_LETTERS = {"shortstr": "s", "table": "F", "octet": "o", "timestamp": "L"}

#: Attributes of a message that py-amqp sets while it arrives, with their values for other messages.
_FRAMING: Final = {"frame_method": None, "frame_args": None, "body_size": 0, "body_received": 0, "ready": False}


T = TypeVar("T")


class Property(Generic[T]):
    """A property as an attribute of its message. What an application sets under the name comes before it."""

    def __set_name__(self, _owner: type[object], name: str) -> None:
        self._name = name

    @overload
    def __get__(self, message: None, owner: object = None) -> Self: ...
    @overload
    def __get__(self, message: "Message", owner: object = None) -> T: ...
    def __get__(self, message: "Message | None", owner: object = None) -> Self | T:
        """The property, or itself on the class.

        Raises:
            AttributeError: the message does not have the property.
        """
        if message is None:
            return self
        try:
            found: T = message.properties[self._name]
        except KeyError:
            text = f"a message has no attribute, and this one no property, {self._name!r}"
            raise AttributeError(text, name=self._name, obj=message) from None
        return found


class _Framing(Property[T]):
    """What py-amqp keeps with a message while it comes in."""

    def __get__(self, message: "Message | None", owner: object = None) -> Any:
        """How it is of a message that is whole, or itself on the class."""
        return self if message is None else message._framing(self._name)  # noqa: SLF001  (a part of it)


class Message:
    """A message: ``Message(b"...", content_type="application/json", delivery_mode=2)``.

    Properties are those of the AMQP 0-9-1 class ``basic`` under py-amqp's names. Each is an attribute too. ``None``
    means that the property is absent. Other names are kept with the message and, as in py-amqp, not sent.

    - ``content_type``, ``content_encoding``, ``type``, ``app_id``, ``user_id``, ``cluster_id``: ``str``
    - ``application_headers``: a ``dict``
    - ``delivery_mode``: 2 for a persistent message
    - ``priority``: ``int``
    - ``correlation_id``, ``reply_to``, ``message_id``: ``str``
    - ``expiration``: milliseconds, as ``str``
    - ``timestamp``: seconds since 1970

    Attributes:
        body: ``bytes``, or ``str``: then it is sent in ``content_encoding``, UTF-8 where there is none.
        properties: the properties by name.
        channel: the channel it came on, or ``None``.
        delivery_info: how it came, or ``None``: ``delivery_tag``, ``redelivered``, ``exchange``, ``routing_key``, and
            ``consumer_tag`` or ``message_count``.

    ``children`` is accepted and has no meaning, as in py-amqp. A frame handler of one's own may put a message together
    as with py-amqp's: ``Message(frame_method=sig, frame_args=payload)``, :meth:`inbound_header`, :meth:`inbound_body`
    until it is ``ready``. A message that was received has these attributes too.
    """

    #: The class of AMQP that messages belong to.
    CLASS_ID: ClassVar = 60
    #: The properties in wire order, each with the letter of its wire type (:mod:`hutch.client.serialization`).
    PROPERTIES: ClassVar = [
        ("application_headers" if name == "headers" else name, _LETTERS[kind]) for name, _, kind in PROPERTIES
    ]

    __slots__ = ("__dict__", "__weakref__", "body", "channel", "delivery_info", "properties")

    content_type = Property[str]()
    content_encoding = Property[str]()
    application_headers = Property[dict[str, Any]]()
    delivery_mode = Property[int]()
    priority = Property[int]()
    correlation_id = Property[str]()
    reply_to = Property[str]()
    expiration = Property[str]()
    message_id = Property[str]()
    timestamp = Property[int]()
    type = Property[str]()
    user_id = Property[str]()
    app_id = Property[str]()
    cluster_id = Property[str]()

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """What was given under any other name. At run time it stands in ``__dict__``."""

    frame_method = _Framing[tuple[int, int] | None]()
    frame_args = _Framing[bytes | None]()
    body_size = _Framing[int]()
    body_received = _Framing[int]()
    ready = _Framing[bool]()

    def __init__(
        self,
        body: str | bytes = "",
        children: object = None,  # noqa: ARG002
        channel: Any = None,
        **properties: Any,
    ) -> None:
        self.body = body
        self.channel = channel
        self.properties: dict[str, Any] = properties
        self.delivery_info: dict[str, Any] | None = None
        if properties:  # a name that is no property is an attribute too, as in py-amqp
            self.__dict__.update({name: properties[name] for name in properties.keys() - _WIRE_NAMES.keys()})

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {len(self.body)} {type(self.body).__name__}, {self.properties}>"

    @property
    def headers(self) -> dict[str, Any] | None:
        """The property ``application_headers``, or ``None``."""
        headers: dict[str, Any] | None = self.properties.get("application_headers")
        return headers

    @property
    def delivery_tag(self) -> int | None:
        """The number to acknowledge it by; ``None`` for a message that was not delivered."""
        return self.delivery_info.get("delivery_tag") if self.delivery_info else None

    def content(self) -> tuple[bytes, bytes]:
        """Properties (flags and values) and body as they go on the wire.

        Raises:
            FrameSyntaxError: a property that does not fit its wire type.
            TypeError: a body that is neither text nor bytes.
            LookupError: a text body whose ``content_encoding`` Python does not know.
        """
        body = self.body
        if type(body) is not bytes:
            body = self._encode_body()
        properties = self.properties
        return (_encode(properties) if properties else NO_PROPERTIES), body

    def _encode_body(self) -> bytes:
        body: object = self.body
        if isinstance(body, str):
            encoding: str = self.properties.get("content_encoding") or "utf-8"
            self.properties["content_encoding"] = encoding
            return body.encode(encoding)
        if isinstance(body, bytes | bytearray | memoryview):
            return bytes(body)
        raise TypeError(f"a message's body is str or bytes, not {type(body).__name__}")

    def _framing(self, name: str) -> Any:
        return _FRAMING[name]

    def inbound_header(self, buf: bytes, offset: int = 0) -> int:
        """Take the properties and the size of the body, from the payload of a header frame; returns 12 more.

        Raises:
            FrameSyntaxError: it cannot be read.
        """
        self.__dict__.update(frame_method=self.frame_method, frame_args=self.frame_args)
        try:
            _, _, self.body_size = _CONTENT_HEADER.unpack_from(buf, offset)
            self.properties = _decode(buf[offset + _CONTENT_HEADER.size :])
        except (FieldError, StructError) as error:
            raise FrameSyntaxError(f"a content header that cannot be read: {error}") from None
        self.body = b""
        self.ready = not self.body_size
        return offset + _CONTENT_HEADER.size

    def inbound_body(self, buf: bytes) -> None:
        """Take a piece of the body, the payload of a body frame; with the last one, ``body`` is there."""
        pieces = self.__dict__.setdefault("_pieces", [])
        pieces.append(buf)
        self.body_received += len(buf)
        if self.body_received >= self.body_size:
            self.body = b"".join(pieces)
            pieces.clear()
            self.ready = True

    def _serialize_properties(self) -> bytes:  # py-amqp's frame writer calls it
        return self.content()[0]


def wire_content(message: Any) -> tuple[bytes, bytes]:
    """:meth:`Message.content` of anything that has ``body`` and ``properties``; py-amqp's messages do, too."""
    if isinstance(message, Message):
        return message.content()
    return Message(message.body or b"", **message.properties).content()


def _decode(raw: bytes) -> dict[str, Any]:
    """The properties by py-amqp's names."""
    values = decode_properties(raw)
    return {name: values[wire] for name, wire in _WIRE_NAMES.items() if wire in values}


def _encode(properties: dict[str, Any]) -> bytes:
    if _UNLIKE.isdisjoint(properties):
        key = tuple(properties.items())
        try:
            known = _ENCODED.get(key)
        except TypeError:  # a value that cannot be a key; it is no valid property either
            return _encode_anew(properties)
        if known is None:
            if len(_ENCODED) >= _ENCODED_LIMIT:
                _ENCODED.clear()
            known = _ENCODED[key] = _encode_anew(properties)
        return known
    return _encode_anew(properties)


def _encode_anew(properties: Mapping[str, Any]) -> bytes:
    known = {wire: properties[name] for name, wire in _WIRE_NAMES.items() if name in properties}
    try:
        return encode_properties(known)
    except FieldError as error:
        raise FrameSyntaxError(str(error), _BASIC_PUBLISH) from None


#: How a delivery came: consumer tag, redelivered, exchange, routing key.
Envelope = tuple[str, bool, str, str]


class ReceivedMessage(Message):
    """A message from a broker: what consumers' callbacks and ``basic_get`` give, with ``delivery_info`` and
    ``delivery_tag``. A message that was returned has neither; use it as a :class:`Message`.

    Its properties are decoded when somebody looks at them.

    ``raw`` is the properties as they came; ``envelope`` tells how a delivery came, and ``delivery_tag`` its number.
    Published again untouched, the very bytes go out. Looking at properties that cannot be decoded raises
    :class:`hutch.wire.fields.FieldError`.
    """

    __slots__ = ("_delivery_info", "_envelope", "_properties", "_raw", "_tag")

    def __init__(
        self,
        channel: Any,
        body: bytes,
        raw: bytes,
        delivery_tag: int = 0,
        envelope: Envelope | None = None,
    ) -> None:
        self.body = body
        self.channel = channel
        self._raw = raw
        self._tag = delivery_tag
        self._envelope = envelope
        self._properties: dict[str, Any] | None = None
        self._delivery_info: dict[str, Any] | None = None

    @property
    def properties(self) -> dict[str, Any]:
        """The properties by py-amqp's names; absent ones are absent."""
        if self._properties is None:
            self._properties = _decode(self._raw)
        return self._properties

    @properties.setter
    def properties(self, properties: dict[str, Any]) -> None:
        self._properties = properties

    @property
    def delivery_info(self) -> dict[str, Any]:
        """How it came."""
        if self._delivery_info is None and self._envelope is not None:
            consumer_tag, redelivered, exchange, routing_key = self._envelope
            self._delivery_info = {
                "consumer_tag": consumer_tag,
                "delivery_tag": self._tag,
                "redelivered": redelivered,
                "exchange": exchange,
                "routing_key": routing_key,
            }
        return cast("dict[str, Any]", self._delivery_info)

    @delivery_info.setter
    def delivery_info(self, delivery_info: dict[str, Any] | None) -> None:
        self._delivery_info = delivery_info

    @property
    def delivery_tag(self) -> int:
        """The number to acknowledge it by."""
        info = self._delivery_info
        # None for a message that came by no delivery, which nobody acknowledges.
        return (self._tag or None) if info is None else info.get("delivery_tag")  # type: ignore[return-value]

    def content(self) -> tuple[bytes, bytes]:
        """Properties and body as they go on the wire; raises as :meth:`Message.content`."""
        if self._properties is None and type(self.body) is bytes:
            return self._raw, self.body
        return super().content()

    def _framing(self, name: str) -> Any:
        if name == "ready":
            return True
        if name.startswith("body"):
            return len(self.content()[1])
        how = self.delivery_info
        method = BasicReturn if not how else BasicGetOk if "message_count" in how else BasicDeliver
        if name == "frame_method":
            return method.CLASS_ID, method.METHOD_ID
        return method(**how).encode() if how else None  # why it was returned is told to who hears of it

    def has_encoding(self) -> bool:
        """Whether there is a ``content_encoding``; told without decoding."""
        return self._raw[0] & _CONTENT_ENCODING != 0

    def decode_body(self) -> None:
        """Make ``body`` text, where ``content_encoding`` names a codec that can read it."""
        raw = self._raw
        body = self.body
        if raw[0] & _CONTENT_ENCODING and isinstance(body, bytes):
            try:
                start = 3 + (raw[2] + 1 if raw[0] & _CONTENT_TYPE else 0)
                self.body = body.decode(raw[start : start + raw[start - 1]].decode())
            except (LookupError, ValueError):
                return
