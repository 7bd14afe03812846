"""Heartbeats of one connection (https://www.rabbitmq.com/docs/heartbeats): when to send one, when the peer is gone."""

from typing import Final

from hutch.client.exceptions import ConnectionForced

#: Heartbeats sent per interval; RabbitMQ sends as many (CONN-TUNE-09).
RATE: Final = 2


class Heartbeats:
    """The books of one connection. Times are seconds on the transport's clock; any traffic counts as a heartbeat.

    ``interval`` is the negotiated one, in seconds, above 0; ``now`` when it begins to hold.
    """

    def __init__(self, interval: float, now: float) -> None:
        self.interval: Final = interval
        #: When traffic in each direction was last noticed.
        self.last_sent = now
        self.last_received = now
        #: When to call :meth:`tick` next, at the latest.
        self.due = now + interval / RATE
        #: The counts at the last :meth:`tick`.
        self.sent: int | None = None
        self.received: int | None = None

    def tick(self, now: float, sent: int, received: int, rate: float = RATE) -> bool:
        """Whether a heartbeat has to be sent now.

        ``sent`` and ``received`` are counts that grow with every write and read of the connection. ``rate`` is how
        many heartbeats to send per interval; 0 or less counts as 2.

        Raises:
            ConnectionForced: nothing has come for two intervals.
        """
        if sent != self.sent:
            self.sent = sent
            self.last_sent = now
        if received != self.received:
            self.received = received
            self.last_received = now
        elif now > self.last_received + 2 * self.interval:
            raise ConnectionForced(f"Too many heartbeats missed: nothing received for {now - self.last_received:g} s")
        pause = self.interval / (rate if rate > 0 else RATE)
        self.due = now + pause
        if now < self.last_sent + pause:
            self.due = self.last_sent + pause
            return False
        self.last_sent = now
        self.sent = sent + 1  # the heartbeat itself
        return True
