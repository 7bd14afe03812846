"""Events of the broker, as the plugin rabbitmq_event_exchange publishes them
(https://www.rabbitmq.com/docs/event-exchange).
"""

from typing import Any

from hutch.conformance.case import case
from hutch.conformance.check import equal, true, typed
from hutch.conformance.listener import EVENTS, INTERNAL, Listener
from hutch.conformance.rabbit import Rabbit
from hutch.wire import methods as amqp
from hutch.wire.fields import FieldTable, Int64


def _binding(source: str, destination: str, key: str = "", kind: str = "queue", **more: Any) -> FieldTable:
    return {
        "source_kind": "exchange",
        "source_name": source,
        "destination_kind": kind,
        "destination_name": destination,
        "routing_key": key,
        "arguments": [],
        **more,
    }


def _type(rabbit: Rabbit) -> FieldTable:
    """What 4.x adds."""
    return rabbit.by_profile({"3.10": {}, "4.3": {"type": "rabbit_classic_queue"}})


@case("EXCH-SYS-01")
def queues_have_events(rabbit: Rabbit) -> None:
    """Queue.created tells all of a queue, its arguments as Erlang prints them; queue.deleted its name. Declaring again,
    purging and publishing are no events, and nobody else may publish to the exchange.
    """
    listener, channel = Listener(rabbit, "queue.*"), rabbit.raw().channel()
    queue, own = rabbit.name(), rabbit.name()
    arguments: FieldTable = {"x-single-active-consumer": True, "x-max-length": 3, "x-dead-letter-exchange": "é"}
    for _ in range(2):
        channel.call(amqp.QueueDeclare(queue=queue, durable=True, arguments=arguments))
    channel.publish(b"x", routing_key=queue)
    channel.call(amqp.QueuePurge(queue=queue))
    channel.call(amqp.QueueDeclare(queue=own, exclusive=True, auto_delete=True))
    for each in (queue, own):
        channel.call(amqp.QueueDelete(queue=each))
    printed = [
        '{<<"x-single-active-consumer">>,bool,true}',
        '{<<"x-max-length">>,signedint,3}',
        '{<<"x-dead-letter-exchange">>,longstr,<<"é">>}',
    ]
    classic = '{<<"x-queue-type">>,longstr,<<"classic">>}'
    told = rabbit.by_profile({"3.10": printed, "4.3": sorted([*printed, classic])})
    more = _type(rabbit)
    flags: FieldTable = {"durable": True, "auto_delete": False, "exclusive": False, "owner_pid": ""}
    listener.expect(
        ("queue.created", {"name": queue, **flags, "arguments": told, **more}),
        (
            "queue.created",
            {
                "name": own,
                "durable": False,
                "auto_delete": True,
                "exclusive": True,
                "arguments": rabbit.by_profile({"3.10": [], "4.3": [classic]}),
                **more,
            },
        ),
        ("queue.deleted", {"name": queue, **more}),
        ("queue.deleted", {"name": own, **more}),
    )
    text = f"cannot publish to internal exchange '{EVENTS}' in vhost '/'"
    root = rabbit.connect(virtual_host="/")
    rabbit.refused(lambda channel: rabbit.publish(channel, b"", EVENTS), 403, text, (60, 40), root)


@case("EXCH-SYS-01")
def exchanges_and_bindings_have_events(rabbit: Rabbit) -> None:
    """While a client deletes an exchange, a parameter exists for it. The event of the exchange comes before those of
    its bindings. Bindings that go with a queue are deleted by RabbitMQ itself. 4.x has an event each time a binding is
    made.
    """
    listener, channel = Listener(rabbit, "#"), rabbit.raw().channel()
    queue, first, second = rabbit.name(), rabbit.name("x"), rabbit.name("y")
    channel.call(amqp.QueueDeclare(queue=queue))
    arguments: FieldTable = {"alternate-exchange": "amq.fanout"}
    channel.call(amqp.ExchangeDeclare(exchange=first, type="topic", durable=True, arguments=arguments))
    channel.call(amqp.ExchangeDeclare(exchange=second, type="fanout", auto_delete=True, internal=True))
    for _ in range(2):
        channel.call(amqp.QueueBind(queue=queue, exchange=first, routing_key="a.*", arguments={"n": 1}))
    channel.call(amqp.ExchangeBind(destination=first, source=second))
    channel.call(amqp.QueueUnbind(queue=queue, exchange=first, routing_key="a.*", arguments={"n": 1}))
    channel.call(amqp.QueueBind(queue=queue, exchange=first, routing_key="b"))
    channel.call(amqp.ExchangeDelete(exchange=first))
    exchange: FieldTable = {"policy": "", "arguments": [], "internal": False, "auto_delete": False, "durable": True}
    with_arguments = _binding(first, queue, "a.*", arguments=['{<<"n">>,signedint,1}'])
    again = [("binding.created", with_arguments)] * rabbit.by_profile({"3.10": 0, "4.3": 1})
    alternate = ['{<<"alternate-exchange">>,longstr,<<"amq.fanout">>}']
    parameter: FieldTable = {"name": first, "component": "exchange-delete-in-progress"}
    listener.next(lambda key, headers: key == "queue.created" and headers["name"] == queue)
    listener.expect(
        ("exchange.created", {**exchange, "name": first, "type": "topic", "arguments": alternate}),
        (
            "exchange.created",
            {**exchange, "name": second, "type": "fanout", "internal": True, "auto_delete": True, "durable": False},
        ),
        ("binding.created", with_arguments),
        *again,
        ("binding.created", _binding(second, first, kind="exchange")),
        ("binding.deleted", with_arguments),
        ("binding.created", _binding(first, queue, "b")),
        ("parameter.set", {**parameter, "value": True}),
    )
    listener.expect_in_any_order(
        (("exchange.deleted", {"name": first}), ("binding.deleted", _binding(first, queue, "b"))),
        (("exchange.deleted", {"name": second}), ("binding.deleted", _binding(second, first, kind="exchange"))),
    )
    listener.expect(("parameter.cleared", parameter))
    internal: FieldTable = {"user_who_performed_action": INTERNAL}
    channel.call(amqp.ExchangeDeclare(exchange=second, type="fanout", auto_delete=True))
    channel.call(amqp.QueueBind(queue=queue, exchange=second))
    channel.call(amqp.QueueBind(queue=queue, exchange="amq.fanout", routing_key="k"))
    channel.call(amqp.QueueDelete(queue=queue))
    for _ in range(3):
        listener.next(lambda key, headers: headers.get("vhost") == rabbit.vhost and key.endswith("created"))
    listener.expect_in_any_order(
        (("binding.deleted", {**_binding("amq.fanout", queue, "k"), **internal}),),
        (
            ("exchange.deleted", {"name": second, **internal}),
            ("binding.deleted", {**_binding(second, queue), **internal}),
        ),
    )
    listener.expect(("queue.deleted", {"name": queue, **_type(rabbit)}))


@case("EXCH-SYS-01")
def channels_and_consumers_have_events(rabbit: Rabbit) -> None:
    """A consumer whose queue is deleted has two events, the second without a user. For consumers whose channel closes,
    3.x has an event each, and 4.x their number.
    """
    listener, channel = Listener(rabbit, "#"), rabbit.raw().channel()
    queue, other = rabbit.name(), rabbit.name()
    for each in (queue, other):
        channel.call(amqp.QueueDeclare(queue=each))
    consumers = channel.connection.channel(7)
    consumers.call(amqp.BasicQos(prefetch_count=5))
    consumers.call(amqp.BasicConsume(queue=queue, consumer_tag="a", arguments={"x-priority": 3}))
    consumers.call(amqp.BasicCancel("a"))
    consumers.call(amqp.BasicConsume(queue=queue, consumer_tag="b", no_ack=True, exclusive=True))
    channel.call(amqp.QueueDelete(queue=queue))
    consumers.call(amqp.BasicConsume(queue=other, consumer_tag="c"))
    consumers.call(amqp.ChannelClose(200))
    created: FieldTable = {"queue": queue, "prefetch_count": Int64(5), "arguments": []}
    priority = ['{<<"x-priority">>,signedint,3}']
    listener.next(lambda key, headers: key == "queue.created" and headers["name"] == other)
    _, headers = listener.next(lambda key, headers: key == "channel.created" and headers["vhost"] == rabbit.vhost)
    name = headers.pop("name")
    true(name.endswith(" (7)"), f"the channel is called {name}")
    about: FieldTable = {"vhost": rabbit.vhost, "user_who_performed_action": rabbit.userid, "user": rabbit.userid}
    equal(typed(headers), typed({**about, "number": Int64(7)}))
    plain: FieldTable = {**created, "exclusive": False, "ack_required": True}
    listener.expect(
        ("consumer.created", {**plain, "consumer_tag": "a", "arguments": priority}),
        ("consumer.deleted", {"queue": queue, "consumer_tag": "a"}),
        ("consumer.created", {**created, "consumer_tag": "b", "exclusive": True, "ack_required": False}),
        ("consumer.deleted", {"queue": queue, "consumer_tag": "b"}),
        ("queue.deleted", {"name": queue, **_type(rabbit)}),
        ("consumer.deleted", {"queue": queue, "consumer_tag": "b", "user_who_performed_action": None}),
        ("consumer.created", {**plain, "queue": other, "consumer_tag": "c"}),
    )
    if rabbit.profile == "3.10":
        internal: FieldTable = {"queue": other, "consumer_tag": "c", "user_who_performed_action": INTERNAL}
        listener.expect(("consumer.deleted", internal))
    _, closed = listener.next(lambda key, _: key == "channel.closed")
    counted = rabbit.by_profile({"3.10": {}, "4.3": {"consumer_count": Int64(1)}})
    equal(typed(closed), typed({"user_who_performed_action": rabbit.userid, **counted}))


@case("EXCH-SYS-01", "CONN-BLOCK-02")
def alarms_have_events(rabbit: Rabbit) -> None:
    """Alarm.set and alarm.cleared name the resource."""
    listener = Listener(rabbit, "alarm.*")
    rabbit.control.raise_alarm("disk")
    rabbit.control.clear_alarm("disk")
    for key in ("alarm.set", "alarm.cleared"):
        equal(listener.next(lambda _key, _headers: True), (key, {"source": "disk"}))
