"""Events of quorum queues and streams, as the plugin rabbitmq_event_exchange publishes them."""

from hutch.conformance.case import case
from hutch.conformance.check import equal, typed
from hutch.conformance.listener import INTERNAL, Listener
from hutch.conformance.rabbit import Rabbit
from hutch.conformance.raw import RawChannel
from hutch.wire import methods as amqp
from hutch.wire.fields import FieldTable, Int64


def _declare(channel: RawChannel, queue: str, queue_type: str) -> None:
    channel.call(amqp.QueueDeclare(queue=queue, durable=True, arguments={"x-queue-type": queue_type}))


def _consume_and_leave(channel: RawChannel, queue: str) -> None:
    """Consume with the tag "b" on another channel, which is then closed."""
    leaving = channel.connection.channel(2)
    leaving.call(amqp.BasicQos(prefetch_count=5))
    leaving.call(amqp.BasicConsume(queue=queue, consumer_tag="b"))
    leaving.call(amqp.ChannelClose(200))


def _created(queue: str, queue_type: str) -> FieldTable:
    facts: FieldTable = {"name": queue, "durable": True, "auto_delete": False, "type": f"rabbit_{queue_type}_queue"}
    arguments = [f'{{<<"x-queue-type">>,longstr,<<"{queue_type}">>}}']
    return {**facts, "arguments": arguments, **({} if queue_type == "stream" else {"exclusive": False})}


def _expect(rabbit: Rabbit, listener: Listener, queue: str, *wanted: tuple[str, FieldTable]) -> None:
    """The next events about a queue, by the suite's user unless told otherwise."""
    for key, facts in wanted:
        got = listener.next(lambda _, headers: queue in {headers.get("queue"), headers.get("name")})
        about = {"vhost": rabbit.vhost, "user_who_performed_action": rabbit.userid, **facts}
        equal((got[0], typed(got[1])), (key, typed({name: fact for name, fact in about.items() if fact is not None})))


@case("EXCH-SYS-01", "QUORUM-01")
def quorum_queues_have_events(rabbit: Rabbit) -> None:
    """A consumer of a quorum queue is deleted by RabbitMQ itself, be it cancelled or gone with its channel, and by
    nobody when it goes with its queue. 3.x tells of a prefetch of 2000 where there is none.
    """
    listener, channel = Listener(rabbit, "#"), rabbit.raw().channel()
    queue = rabbit.name()
    unlimited = Int64(rabbit.by_profile({"3.10": 2000, "4.3": 0}))
    plain: FieldTable = {"queue": queue, "arguments": [], "exclusive": False, "ack_required": True}
    deleted: FieldTable = {"queue": queue, "user_who_performed_action": INTERNAL}
    _declare(channel, queue, "quorum")
    channel.call(amqp.BasicConsume(queue=queue, consumer_tag="a"))
    channel.call(amqp.BasicCancel("a"))
    _consume_and_leave(channel, queue)
    _expect(
        rabbit,
        listener,
        queue,
        ("queue.created", _created(queue, "quorum")),
        ("consumer.created", {**plain, "consumer_tag": "a", "prefetch_count": unlimited}),
        ("consumer.deleted", {**deleted, "consumer_tag": "a"}),
        ("consumer.created", {**plain, "consumer_tag": "b", "prefetch_count": Int64(5)}),
        ("consumer.deleted", {**deleted, "consumer_tag": "b"}),
    )
    channel.call(amqp.BasicConsume(queue=queue, consumer_tag="c"))
    channel.call(amqp.QueueDelete(queue=queue))
    _expect(
        rabbit,
        listener,
        queue,
        ("consumer.created", {**plain, "consumer_tag": "c", "prefetch_count": unlimited}),
        ("queue.deleted", {"name": queue, **_type(rabbit, "quorum")}),
        ("consumer.deleted", {"queue": queue, "consumer_tag": "c", "user_who_performed_action": None}),
    )


@case("EXCH-SYS-01", "STREAM-10")
def streams_have_events(rabbit: Rabbit) -> None:
    """3.x does not tell of readers that begin, and neither version of those that go with their channel."""
    listener, channel = Listener(rabbit, "#"), rabbit.raw().channel()
    queue = rabbit.name()
    _declare(channel, queue, "stream")
    channel.call(amqp.BasicQos(prefetch_count=5))
    channel.call(amqp.BasicConsume(queue=queue, consumer_tag="a"))
    channel.call(amqp.BasicCancel("a"))
    _consume_and_leave(channel, queue)
    channel.call(amqp.BasicConsume(queue=queue, consumer_tag="c"))
    channel.call(amqp.QueueDelete(queue=queue))
    plain: FieldTable = {"arguments": [], "exclusive": False, "ack_required": True, "prefetch_count": Int64(5)}
    a, b, c = (
        rabbit.by_profile({"3.10": [], "4.3": [("consumer.created", {**plain, "queue": queue, "consumer_tag": tag})]})
        for tag in "abc"
    )
    _expect(
        rabbit,
        listener,
        queue,
        ("queue.created", _created(queue, "stream")),
        *a,
        ("consumer.deleted", {"queue": queue, "consumer_tag": "a"}),
        *b,
        *c,
        ("queue.deleted", {"name": queue, **_type(rabbit, "stream")}),
        ("consumer.deleted", {"queue": queue, "consumer_tag": "c", "user_who_performed_action": None}),
    )


def _type(rabbit: Rabbit, queue_type: str) -> FieldTable:
    """What 4.x adds."""
    return rabbit.by_profile({"3.10": {}, "4.3": {"type": f"rabbit_{queue_type}_queue"}})
