"""From bytes to commands, for a broker and for a client.

A command is a method, with its content if it carries one. A :class:`Cutter` is pulled, one command at a time: each call
of :meth:`Cutter.next` hands on one at most, and what is behind it stays. Every command goes to :class:`Commands`, by
one way in: an object in its place meets them all.

A command that is wholly at hand, and that comes often (a publish, a delivery, an acknowledgement), is recognised
without cutting it into frames. It is the same command, and it goes the same way from there. The bytes of a body are
never taken for a command: the cutter looks only where a frame begins, and not on a channel whose content is under way.
"""

from abc import abstractmethod
from collections.abc import Container
from struct import Struct
from struct import error as StructError
from typing import Final

from hutch.wire.content import Content, ContentAssembler, ContentError
from hutch.wire.declaration import Method
from hutch.wire.frames import BODY, END, HEADER, HEARTBEAT, METHOD, OVERHEAD, FrameParser, WrongFrameEnd
from hutch.wire.interfaces import mypyc_attr
from hutch.wire.methods import BasicAck, BasicDeliver, BasicGetOk, BasicPublish

#: Results of :meth:`Cutter.next`: no whole frame has arrived; a frame that completes no command; a command.
NOTHING: Final = 0
PART: Final = 1
COMMAND: Final = 2

#: The fields of a delivery without its tag: consumer tag, redelivered, exchange, routing key.
Envelope = tuple[str, bool, str, str]

#: Layout of a basic.ack frame, and the size of its payload.
ACK: Final = Struct(">BHIIQBB")
ACK_SIZE: Final = 13
_ACK_FRAME_SIZE: Final = ACK.size
_unpack_ack: Final = ACK.unpack_from
#: The class basic, and its methods that are recognised as whole commands. An id has two octets; these are the second
#: ones.
_BASIC: Final[int] = BasicAck.CLASS_ID
_ACK: Final[int] = BasicAck.METHOD_ID
_ACK_IDS: Final[int] = BasicAck.ID
_OFTEN: Final = frozenset(kind.METHOD_ID for kind in (BasicAck, BasicPublish, BasicDeliver, BasicGetOk))

_method_start: Final = Struct(">BHIHH").unpack_from
#: From the end octet of the method frame to the properties: end octet and type of the next frame, its channel and
#: size, class and weight, body size.
_header_start: Final = Struct(">HHIIQ").unpack_from
#: From the end octet of the header frame to the body: end octet and type of the next frame, its channel and size.
_body_start: Final = Struct(">HHI").unpack_from
_END_HEADER: Final = END << 8 | HEADER
_END_BODY: Final = END << 8 | BODY
#: The class basic with weight 0; no other weight is valid.
_BASIC_HEADER: Final[int] = BasicAck.CLASS_ID << 16
_unpack_tag: Final = Struct(">Q").unpack_from
#: The end octet of a frame, and the prefix of the next frame.
_next_frame: Final = Struct(">BBHI").unpack_from

#: Number of bytes from the start of a frame to the end of a method's ids.
_IDS_END: Final = 10
#: A frame that lacks at least so many bytes is read directly into its body's buffer.
_LARGE_FRAME: Final = 32768

_CACHED_PUBLISHES: Final = 256
_CACHED_ENVELOPES: Final = 1024


@mypyc_attr(allow_interpreted_subclasses=True)
class Commands:
    """Takes commands. What comes most has methods of its own; unless they are overridden, :meth:`command` gets it."""

    @abstractmethod
    def command(self, channel: int, method: Method, content: Content | None) -> None:
        """Take a method, with its content if it carries one."""

    def publish(self, channel: int, method: BasicPublish, properties: bytes, body: bytes) -> None:
        """Take a basic.publish. ``properties`` is flags and values."""
        self.command(channel, method, Content(method, properties, body))

    def deliver(self, channel: int, delivery_tag: int, envelope: Envelope, properties: bytes, body: bytes) -> None:
        """Take a basic.deliver; ``properties`` as of :meth:`publish`."""
        consumer_tag, redelivered, exchange, routing_key = envelope
        method = BasicDeliver(consumer_tag, delivery_tag, redelivered, exchange, routing_key)
        self.command(channel, method, Content(method, properties, body))

    def ack(self, channel: int, delivery_tag: int, multiple: bool) -> None:
        """Take a basic.ack."""
        self.command(channel, BasicAck(delivery_tag, multiple), None)

    def take(self, channel: int, method: Method, content: Content | None) -> None:
        """Take any of them, by the method that is for it."""
        if type(method) is BasicAck:
            self.ack(channel, method.delivery_tag, method.multiple)
        elif type(method) is BasicPublish and content is not None:
            self.publish(channel, method, content.properties, content.body)
        elif type(method) is BasicDeliver and content is not None:
            envelope = (method.consumer_tag, method.redelivered, method.exchange, method.routing_key)
            self.deliver(channel, method.delivery_tag, envelope, content.properties, content.body)
        else:
            self.command(channel, method, content)


@mypyc_attr(allow_interpreted_subclasses=True)
class Role:
    """How a broker, or a client, takes frames: what it makes of them, and its words for what is wrong with them."""

    @abstractmethod
    def method(self, channel: int, payload: bytes) -> Method | None:
        """The method of a frame, where no content is under way. ``None`` if the role has dealt with it.

        Raises:
            Exception: it is not a method that may come here. The frame counts as taken.
        """

    @abstractmethod
    def stray(self, frame_type: int, channel: int, payload: bytes) -> None:
        """Take a frame that is part of no command: a heartbeat, or one that is out of place.

        Raises:
            Exception: it must not come here. The frame counts as taken.
        """

    @abstractmethod
    def misplaced(self, frame_type: int, payload: bytes, error: ContentError) -> Exception:
        """The exception to raise for a frame that does not continue the content of its channel."""


class Cutter(FrameParser):
    """Cuts bytes, which come with :meth:`add`, into commands, and hands them on, one with each call of :meth:`next`.

    ``content`` is the type of method that comes most with content: BasicPublish or BasicDeliver. ``channels`` holds the
    channel numbers in use; what comes on others goes by :class:`Role` first. ``max_body_size`` is as of
    :class:`~hutch.wire.content.ContentAssembler`, ``frame_max`` as of FrameParser. With ``takes_parts``, large bodies
    may be received right where they belong (:meth:`room`). An error in such a frame has only a part of its payload.

    Attributes:
        commands: where commands go. Another may be put there at any time.
        contents: by channel number, the content that is under way.
        missing: how many bytes are missing of a body's frame whose beginning was taken already (``takes_parts``), or 0.
    """

    def __init__(
        self,
        role: Role,
        commands: Commands,
        channels: Container[int],
        content: type[BasicPublish | BasicDeliver],
        max_body_size: int | None,
        frame_max: int = 0,
        takes_parts: bool = False,
    ) -> None:
        super().__init__(frame_max)
        self.commands = commands
        self.contents: Final[dict[int, ContentAssembler]] = {}
        self.missing = 0
        self._role: Final = role
        self._channels: Final = channels
        self._content_id: Final[int] = content.METHOD_ID
        self._takes_publishes: Final = content is BasicPublish
        self._max_body_size: Final = max_body_size
        self._takes_parts: Final = takes_parts
        #: Decoded publishes by payload, and decoded envelopes by payload without the delivery tag.
        self._publishes: Final[dict[bytes, BasicPublish]] = {}
        self._envelopes: Final[dict[bytes, Envelope]] = {}

    def next(self, by_frames: bool = False) -> int:
        """Hand on the next command, or take the next frame: :data:`NOTHING`, :data:`PART` or :data:`COMMAND`.

        With ``by_frames``, it takes one frame even where a whole command is at hand.

        Raises:
            FrameTooLarge, WrongFrameEnd: as :meth:`find`.
            Exception: what the role, or the receiver of the command, raises. It counts as taken.
        """
        if self.missing:
            if not self._find_rest():
                return NOTHING
        else:
            data, offset = self.data, self.offset
            if (
                self.size - offset > _IDS_END
                and data[offset + 8] == _BASIC
                and (number := data[offset + 10]) in _OFTEN
                and not by_frames
                and (self._take_ack() if number == _ACK else self._take_content())
            ):
                return COMMAND
            if not self.find():
                return NOTHING
        frame_type, channel = self.frame_type, self.channel
        if frame_type != HEARTBEAT and channel in self.contents:
            return self._continue(frame_type, channel)
        payload = self.data[self.start : self.end]
        taken = COMMAND
        if frame_type != METHOD:
            self._role.stray(frame_type, channel, payload)
            taken = PART
        elif (method := self._role.method(channel, payload)) is None:
            pass
        elif method.CONTENT:
            self.contents[channel] = content = ContentAssembler(self._max_body_size)
            content.begin(method)
            taken = PART
        elif type(method) is BasicAck:
            self.commands.ack(channel, method.delivery_tag, method.multiple)
        else:
            self.commands.command(channel, method, None)
        return taken

    def _continue(self, frame_type: int, channel: int) -> int:
        """Take a frame on a channel whose content is under way."""
        payload = memoryview(self.data)[self.start : self.end]  # a memoryview, so that the body is copied only once
        try:
            content = self.contents[channel].add(frame_type, payload)
        except ContentError as error:
            raise self._role.misplaced(frame_type, bytes(payload), error) from None
        if content is None:
            return PART
        del self.contents[channel]
        self.commands.take(channel, content.method, content)
        return COMMAND

    # whole commands at once

    # A command that is incomplete, invalid or not simple is left to the frame-by-frame code, and no byte of it is
    # consumed. The numbers have declared types: values from a struct are untyped, and mypyc compiles untyped
    # arithmetic to slow code.

    def _take_ack(self) -> bool:
        """Hand on an acknowledgement."""
        kind: int
        channel: int
        size: int
        tag: int
        multiple: int
        end: int
        behind = self.offset + _ACK_FRAME_SIZE
        if behind > self.size:
            return False
        kind, channel, size, ids, tag, multiple, end = _unpack_ack(self.data, self.offset)
        if kind != METHOD or size != ACK_SIZE or ids != _ACK_IDS or end != END:
            return False
        if not channel or channel not in self._channels or channel in self.contents:
            return False
        self.offset = behind
        self.commands.ack(channel, tag, multiple & 1 != 0)
        return True

    def _take_content(self) -> bool:
        """Hand on a method with content whose body has one frame, or none."""
        kind: int
        channel: int
        size: int
        begin: int
        owner: int
        header_size: int
        class_and_weight: int
        body_size: int
        class_id: int
        method_id: int
        data, offset, limit = self.data, self.offset, self.frame_max
        try:
            kind, channel, size, class_id, method_id = _method_start(data, offset)
            middle = offset + 7 + size
            begin, owner, header_size, class_and_weight, body_size = _header_start(data, middle)
            finish = middle + 8 + header_size
            behind = finish + 8 + body_size if body_size else finish
            if not (
                data[behind] == END
                and kind == METHOD
                and begin == _END_HEADER
                and owner == channel
                and class_and_weight == _BASIC_HEADER
                and class_id == _BASIC
                and size > 4
                and header_size >= 14
                and (not body_size or _body_start(data, finish) == (_END_BODY, channel, body_size))
                and channel
                and channel in self._channels
                and channel not in self.contents
                and (not limit or behind - offset <= limit or max(size, header_size, body_size) <= limit)
            ):
                return False
        except (IndexError, StructError):
            return False
        properties = data[middle + 20 : finish]
        body = data[finish + 8 : behind] if body_size else b""
        if method_id != self._content_id:
            self.offset = middle + 1
            method = self._role.method(channel, data[offset + 7 : middle])
            if method is not None:
                self.offset = behind + 1
                self.commands.take(channel, method, Content(method, properties, body))
            return True
        if self._takes_publishes:
            payload = data[offset + 7 : middle]
            if payload not in self._publishes and not self._learn_publish(payload):
                return False
            self.offset = behind + 1
            self.commands.publish(channel, self._publishes[payload], properties, body)
        else:
            tag_end = offset + 12 + data[offset + 11]
            key = data[offset + 11 : tag_end] + data[tag_end + 8 : middle]
            if key not in self._envelopes and not self._learn_envelope(key, data[offset + 7 : middle]):
                return False
            self.offset = behind + 1
            delivery_tag: int
            (delivery_tag,) = _unpack_tag(data, tag_end)
            self.commands.deliver(channel, delivery_tag, self._envelopes[key], properties, body)
        return True

    def _learn_publish(self, payload: bytes) -> bool:
        """Keep a publish decoded, for publishers repeat themselves; ``False`` if it cannot be decoded."""
        try:
            publish = BasicPublish.decode(payload)
        except ValueError:
            return False
        if len(self._publishes) >= _CACHED_PUBLISHES:
            self._publishes.clear()
        self._publishes[payload] = publish
        return True

    def _learn_envelope(self, key: bytes, payload: bytes) -> bool:
        """Keep what a delivery says beside its tag, as :meth:`_learn_publish` does."""
        try:
            deliver = BasicDeliver.decode(payload)
        except ValueError:
            return False
        if len(self._envelopes) >= _CACHED_ENVELOPES:
            self._envelopes.clear()
        self._envelopes[key] = deliver.consumer_tag, deliver.redelivered, deliver.exchange, deliver.routing_key
        return True

    # large bodies

    # With `takes_parts`, the bytes of a body frame go into the body as they arrive, except the last byte. The last byte
    # is taken together with the frame's end octet; then the content may be complete. `missing` counts the bytes that
    # are missing, and `channel` is the frame's channel.

    def room(self) -> memoryview | None:
        """Where the bytes that come next belong, if they are a large part of a body: no need to copy them there.

        A caller that receives into it calls :meth:`filled` with the number of bytes, and releases it. Other callers
        use :meth:`add`.
        """
        if self.missing < _LARGE_FRAME or self.chunks or self.offset < self.size:
            return None
        # The room includes the frame's end and the next frame's prefix. If the next frame continues the body, its
        # payload overwrites them.
        return self.contents[self.channel].room(self.missing + OVERHEAD)

    def filled(self, room: memoryview, size: int) -> None:
        """Take the first ``size`` bytes of :meth:`room`."""
        missing = self.missing
        if not missing:
            raise ValueError("no room was given")
        content = self.contents[self.channel]
        if size == missing + OVERHEAD:
            end: int
            frame_type: int
            channel: int
            following: int
            end, frame_type, channel, following = _next_frame(room, missing)
            still = content.remaining - missing
            follows = (end, frame_type, channel) == (END, BODY, self.channel)
            if follows and 0 < following <= min(still, self.frame_max or still):
                content.advance(missing)
                self.missing = following
                return
        part = min(size, missing - 1)
        content.advance(part)
        self.missing = missing - part
        self.data = bytes(room[part:size])
        self.offset = 0
        self.size = size - part

    def _hold_frame(self, frame_type: int, channel: int, start: int, end: int) -> bool:
        content = self.contents.get(channel) if frame_type == BODY and self._takes_parts else None
        if content is None or not start < end <= start + content.remaining:
            return self._hold(end + 1 - self.offset)
        self.frame_type, self.channel = frame_type, channel
        return self._take_part(content, start, end)

    def _find_rest(self) -> bool:
        if self.chunks and not self._join():
            return False
        start = self.offset
        end = start + self.missing
        if end >= self.size:
            return self._take_part(self.contents[self.channel], start, end)
        data = self.data
        self.missing = 0
        if data[end] != END:
            raise WrongFrameEnd(self.frame_type, data[start:end], data[end])
        self.start, self.end = start, end
        self.offset = end + 1
        return True

    def _take_part(self, content: ContentAssembler, start: int, end: int) -> bool:
        part_end = min(end - 1, self.size)
        if part_end > start:
            content.add(BODY, memoryview(self.data)[start:part_end])
        self.missing = end - part_end
        self.offset = part_end
        # If the last byte has arrived, the frame's end octet has not: the next step needs both.
        return self._hold(self.missing + 1 if part_end < self.size else 1)
