"""kombu: what it retries by itself is told to do so, and a ConsumerMixin consumes."""

import threading
from queue import Queue
from typing import Any

import kombu
from kombu.mixins import ConsumerMixin

from tests.faults.drivers.driver import QUEUE, SEVERAL, TIMEOUT, Driver, Redelivered

RETRY = {"max_retries": 3, "interval_start": 0.05, "interval_step": 0.05}


class Kombu(Driver):
    takes_list = True
    _connection: Any = None
    _worker: "_Worker | None" = None

    def connect(self) -> None:
        options: dict[str, Any] = {}
        if self.place.tls:
            options["ssl"] = {"ca_certs": self.place.ca, "server_hostname": "localhost"}
        self._connection = kombu.Connection(
            ";".join(f"pyamqp://guest:guest@127.0.0.1:{port}//" for port in self.place.ports),
            connect_timeout=TIMEOUT,
            heartbeat=self.place.heartbeat,
            transport_options={"confirm_publish": True, "read_timeout": TIMEOUT},
            **options,
        )
        self._connection.ensure_connection(max_retries=2, interval_start=0.05)
        self._producer = self._connection.Producer()
        self._queue = kombu.Queue(QUEUE)(self._producer.channel)
        self.declare()
        self.publish()  # the first publish also sends confirm.select
        self._queue.purge()

    def publish(self) -> None:
        returned: list[Exception] = []
        self._producer.channel.events["basic_return"] = {lambda error, *_: returned.append(error)}
        self._producer.publish(
            b"one",
            routing_key=QUEUE,
            mandatory=True,
            retry=True,
            retry_policy=RETRY,
            timeout=TIMEOUT,
            confirm_timeout=TIMEOUT,
        )
        if returned:
            raise returned[0]

    def declare(self) -> None:
        self._connection.ensure(self._queue, self._queue.declare, **RETRY)()

    def get(self) -> None:
        def get() -> None:
            self._queue.get().ack()

        self._connection.ensure(self._queue, get, **RETRY)()

    def subscribe(self) -> None:
        self._worker = _Worker(self._connection)

    def consume(self) -> None:
        assert self._worker is not None
        self._worker.consume_several()

    def idle(self) -> None:
        while True:
            try:
                self._connection.drain_events(timeout=TIMEOUT / 4)
            except TimeoutError:
                self._connection.heartbeat_check()

    def close(self) -> None:
        if self._worker is not None:
            self._worker.should_stop = True
        if self._connection is not None:
            self._connection.collect()


class _Worker(ConsumerMixin):  # type: ignore[misc]  # kombu has no types
    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self._told: Queue[bool | Exception] = Queue()
        self._is_ready = threading.Event()
        threading.Thread(target=self._work, daemon=True).start()
        self._is_ready.wait(TIMEOUT)

    def _work(self) -> None:
        try:
            self.run()
        except Exception as error:
            self._told.put(error)

    def get_consumers(self, consumer: Any, channel: Any) -> list[Any]:  # noqa: ARG002
        queue = kombu.Queue(QUEUE)
        return [consumer(queues=[queue], callbacks=[self._receive], prefetch_count=1)]

    def on_consume_ready(self, *_: Any, **__: Any) -> None:
        self._is_ready.set()

    def _receive(self, _: Any, message: Any) -> None:
        self._told.put(message.delivery_info["redelivered"])
        message.ack()

    def consume_several(self) -> None:
        several = [self._told.get() for _ in range(SEVERAL)]
        for each in several:
            if isinstance(each, Exception):
                raise each
        if any(several):
            raise Redelivered
