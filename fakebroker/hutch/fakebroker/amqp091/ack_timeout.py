"""The delivery acknowledgement timeout of 3.x: a channel that keeps a delivery for too long is closed (CONSUME-28,
https://www.rabbitmq.com/docs/consumers#acknowledgement-timeout).

RabbitMQ looks once a minute, counted from the channel's opening, whether the oldest delivery is older than the timeout.
To note the moment of each delivery would slow every delivery down. So a channel notes once a minute its highest
delivery tag. A delivery up to that tag that is still unacknowledged after the timeout has timed out.
"""

import math
from collections import deque
from typing import TYPE_CHECKING, Final

from hutch.fakebroker.amqp091.errors import AMQPError
from hutch.fakebroker.engine.clock import Timer, moment
from hutch.wire.codes import ReplyCode

if TYPE_CHECKING:
    from hutch.fakebroker.amqp091.channel import Channel

#: RabbitMQ's channel_tick_interval, in seconds.
_TICK: Final = 60.0


class AckTimeout:
    """Watches one channel. ``timeout`` is in ms. While there is nobody to acknowledge anything it rests."""

    def __init__(self, channel: "Channel", timeout: int) -> None:
        self._channel = channel
        self._timeout = timeout
        self._timers = channel.vhost.node.timers
        self._clock = channel.vhost.node.clock
        self._opened = self._clock.monotonic()
        # The newest delivery tag at the last note, and the newest tag whose timeout is over: it and older tags must be
        # settled.
        self._noted = self._overdue = 0
        # Checks to come, oldest first: the time of the check, and the newest tag that it covers.
        self._looks: deque[tuple[float, int]] = deque()
        self._timer: Timer | None = None

    def watch(self) -> None:
        """Begin to watch, if it rests: there may be deliveries from now on."""
        if self._timer is None:
            self._wait()

    def stop(self) -> None:
        """The channel is closed."""
        if self._timer is not None:
            self._timers.cancel(self._timer)
            self._timer = None

    def _wait(self) -> None:
        """Schedule :meth:`_wake` for the next note or the next check."""
        # A check happens a whole number of ticks after the channel was opened. A note happens one timeout before its
        # check.
        base = self._opened - self._timeout / 1000
        ticks = math.floor((self._clock.monotonic() - base) / _TICK + 1e-6) + 1
        at = moment(base + ticks * _TICK)
        if self._looks:
            at = min(at, self._looks[0][0])
        self._timer = self._timers.set_at(at, self._wake, background=True)

    def _wake(self) -> None:
        self._timer = None
        channel, sink, now = self._channel, self._channel.sink, self._clock.monotonic()
        while self._looks and self._looks[0][0] <= now:
            self._overdue = self._looks.popleft()[1]
        if sink.oldest_unacked <= self._overdue:
            text = (
                f"delivery acknowledgement on channel {channel.number} timed out. Timeout value used: "
                f"{self._timeout} ms. This timeout value can be configured, see consumers doc guide to learn more"
            )
            channel.output.fail_channel(channel.number, AMQPError(ReplyCode.PRECONDITION_FAILED, text, blame=False))
            return
        if sink.last_tag > self._noted:
            self._noted = sink.last_tag
            self._looks.append((moment(now + self._timeout / 1000), self._noted))
        outstanding = sink.oldest_unacked < math.inf
        if outstanding or self._looks or any(not consumer.no_ack for consumer in channel.consumers.values()):
            self._wait()
