"""Restarts of the broker: what clients are told, and what is still there (https://www.rabbitmq.com/docs/lifetimes)."""

from hutch.client import Channel
from hutch.conformance import streams
from hutch.conformance.case import case
from hutch.conformance.check import equal, true
from hutch.conformance.rabbit import Rabbit, body, delivered, tag_of
from hutch.wire import methods as amqp

SHUTDOWN = amqp.ConnectionClose(
    320, "CONNECTION_FORCED - broker forced connection closure with reason 'shutdown'", 0, 0
)


def _durable(rabbit: Rabbit, channel: Channel, **arguments: object) -> str:
    """A new durable queue."""
    return rabbit.queue(channel, durable=True, arguments={key.replace("_", "-"): arguments[key] for key in arguments})


def _all(rabbit: Rabbit, queue: str) -> list[tuple[bytes, bool]]:
    """All messages of a queue, taken out: body and redelivered flag of each."""
    channel, found = rabbit.channel(), []
    while message := channel.basic_get(queue, no_ack=True):
        found.append(delivered(message))
    return found


@case("RESTART-01", "CONN-CLOSE-09")
def connections_are_told_of_a_restart(rabbit: Rabbit) -> None:
    """Every open connection is closed with 320, and its stream ended without a wait for close-ok; one that is not open
    yet is dropped without a word. Consumers are not told by basic.cancel.
    """
    idle = rabbit.raw()
    consuming, queue = rabbit.raw_queue()
    consuming.call(amqp.BasicConsume(queue=queue))
    greeted, logged_in = rabbit.raw_unopened(), rabbit.raw_unopened()
    greeted.start()
    logged_in.start()
    logged_in.log_in()
    logged_in.expect(amqp.ConnectionTune)
    rabbit.restart()
    for connection in (idle, consuming.connection):
        equal(connection.read(), (0, SHUTDOWN))
        connection.expect_gone()
    for connection in (greeted, logged_in):
        connection.expect_gone()
    rabbit.raw().expect_alive()


@case("RESTART-01")
def nobody_can_connect_while_it_is_stopped(rabbit: Rabbit) -> None:
    """The port of a stopped broker is closed: connecting is refused."""
    rabbit.raw().expect_alive()
    with rabbit.stopped():
        for _ in range(2):
            try:
                rabbit.raw_unopened()
            except ConnectionRefusedError:
                continue
            raise AssertionError("a stopped broker accepts a connection")
    rabbit.raw().expect_alive()


@case("RESTART-02", "RESTART-06", "RESTART-08")
def persistent_messages_in_durable_queues_stay(rabbit: Rabbit) -> None:
    """A durable queue keeps its persistent messages, and no others, in their order; those that were delivered and not
    acknowledged are ready again, and redelivered. What a transaction has not committed is lost.
    """
    channel, reader = rabbit.channel(), rabbit.channel(rabbit.connect())
    queue, priorities = _durable(rabbit, channel), _durable(rabbit, channel, x_max_priority=3)
    for mode in (2, 1, None, *rabbit.by_profile({"3.10": (), "4.3": (0, 3)}), 2, 2, 2):
        rabbit.publish_confirmed(channel, f"mode {mode}".encode(), routing_key=queue, delivery_mode=mode)
    for priority in (0, 3, 1):
        rabbit.publish_confirmed(channel, b"%d" % priority, routing_key=priorities, delivery_mode=2, priority=priority)
    taken = [rabbit.get(reader, queue) for _ in range(6 if rabbit.profile == "4.3" else 4)]
    reader.basic_reject(tag_of(taken[0]), requeue=True)
    transaction = rabbit.channel()
    transaction.tx_select()
    rabbit.publish(transaction, b"not committed", routing_key=queue, delivery_mode=2)
    rabbit.restart()
    equal(rabbit.declared(rabbit.channel(), queue, passive=True), (queue, 4, 0))
    equal(_all(rabbit, queue), [(b"mode 2", True), (b"mode 2", True), (b"mode 2", False), (b"mode 2", False)])
    equal(_all(rabbit, priorities), [(b"3", False), (b"1", False), (b"0", False)])


@case("RESTART-02", "ACK-09")
def what_a_restart_forgets_of_redeliveries(rabbit: Rabbit) -> None:
    """Messages that had returned to their queue are marked redelivered after a restart too. In 4.x this holds if they
    were rejected, or their channel closed, and not if basic.nack or basic.recover handed them back.
    """
    channel, closing = rabbit.channel(), rabbit.channel()
    queue, recovering = _durable(rabbit, channel), _durable(rabbit, channel)
    for number in range(4):
        rabbit.publish_confirmed(channel, b"%d" % number, routing_key=queue, delivery_mode=2)
        rabbit.publish_confirmed(channel, b"%d" % number, routing_key=recovering, delivery_mode=2)
    rejected, nacked = rabbit.get(channel, queue), rabbit.get(channel, queue)
    rabbit.get(closing, queue)
    closing.close()
    channel.basic_reject(tag_of(rejected), requeue=True)
    channel.basic_nack(tag_of(nacked), requeue=True)
    rabbit.get(channel, recovering)
    channel.basic_recover(requeue=True)
    rabbit.restart()
    still = rabbit.profile == "3.10"
    equal(_all(rabbit, queue), [(b"0", True), (b"1", still), (b"2", True), (b"3", False)])
    equal(_all(rabbit, recovering), [(b"0", still), *((b"%d" % number, False) for number in (1, 2, 3))])


@case("RESTART-03", "RESTART-04", "RESTART-05")
def durable_queues_stay(rabbit: Rabbit) -> None:
    """Transient queues are gone after a restart, exclusive ones, and auto-delete ones that had a consumer; a durable
    queue is the same as before.
    """
    channel = rabbit.channel()
    arguments = {"x-max-length": 5}
    kept = [
        rabbit.queue(channel, durable=True, arguments=arguments),
        rabbit.queue(channel, durable=True, auto_delete=True),
    ]
    consumed = rabbit.queue(channel, durable=True, auto_delete=True)
    rabbit.consume(channel, consumed)
    gone = [
        consumed,
        rabbit.queue(channel),
        rabbit.queue(channel, durable=True, exclusive=True),
        rabbit.queue(channel, auto_delete=True),
    ]
    rabbit.restart()
    rabbit.connect()
    for queue in kept:
        true(rabbit.has_queue(queue), f"{queue} is gone")
    for queue in gone:
        rabbit.refused(
            lambda channel, queue=queue: channel.queue_declare(queue, passive=True),  # type: ignore[misc]
            404,
            f"no queue '{queue}' in vhost '{rabbit.vhost}'",
            (50, 10),
        )
    rabbit.queue(rabbit.channel(), kept[0], durable=True, arguments=arguments)
    where = f"for queue '{kept[1]}' in vhost '{rabbit.vhost}'"
    text = f"inequivalent arg 'durable' {where}: received 'false' but current is 'true'"
    rabbit.refused(lambda channel: rabbit.queue(channel, kept[1], auto_delete=True), 406, text, (50, 10))


@case("RESTART-07")
def time_passes_while_the_broker_is_down(rabbit: Rabbit) -> None:
    """What has expired meanwhile is dead-lettered at the start, from the head; x-expires begins anew."""
    channel = rabbit.channel()
    letters = _durable(rabbit, channel)
    to_letters = {"x_dead_letter_exchange": "", "x_dead_letter_routing_key": letters}
    expired = _durable(rabbit, channel, x_message_ttl=2000, **to_letters)
    mixed = _durable(rabbit, channel, **to_letters)
    leased = _durable(rabbit, channel, x_expires=3000)
    for queue, text, properties in (
        (expired, b"of the queue", {}),
        (mixed, b"of the message", {"expiration": "2000"}),
        (mixed, b"longer", {"expiration": "600000"}),
        (mixed, b"behind", {"expiration": "2000"}),
    ):
        rabbit.publish_confirmed(channel, text, routing_key=queue, delivery_mode=2, **properties)
    rabbit.restart(downtime=3.5)
    channel = rabbit.channel()
    true(rabbit.has_queue(leased), "the queue has expired while the broker was down")
    rabbit.expect_ready(channel, letters, 2)
    dead = [rabbit.get(channel, letters) for _ in range(2)]
    deaths = {body(message): [death["queue"] for death in (message.headers or {})["x-death"]] for message in dead}
    equal(deaths, {b"of the queue": [expired], b"of the message": [mixed]})
    # In 3.x a message that was read back from disk no longer has its original expiration.
    originals = {body(message): (message.headers or {})["x-death"][0].get("original-expiration") for message in dead}
    equal(originals, {b"of the queue": None, b"of the message": None if rabbit.profile == "3.10" else "2000"})
    equal(_all(rabbit, expired), [])
    equal(_all(rabbit, mixed), [(b"longer", False)])
    rabbit.advance(3.5)
    true(not rabbit.has_queue(leased), "the queue has not expired after the start")


@case("RESTART-10")
def a_stream_keeps_all_messages(rabbit: Rabbit) -> None:
    """A stream keeps its messages, whatever their delivery mode, at their offsets. It may take a while to be there, and
    to count them.
    """
    channel, queue = streams.stream(rabbit)
    for mode in (2, 1):
        channel.publish(b"mode %d" % mode, routing_key=queue, delivery_mode=mode)
        channel.expect(amqp.BasicAck)
    rabbit.restart()
    rabbit.connect()
    rabbit.eventually(lambda: rabbit.has_queue(queue), "the stream is gone")
    rabbit.raw().channel().expect_ready(queue, 2)
    kept = streams.take(streams.reader(rabbit, queue, streams.FIRST), 2)
    equal([(message.body, streams.offset_of(message)) for message in kept], [(b"mode 2", 0), (b"mode 1", 1)])


@case("RESTART-13")
def what_an_operator_set_stays(rabbit: Rabbit) -> None:
    """Users, their passwords and permissions, virtual hosts and policies are the same after a restart."""
    prefix = rabbit.name()
    user, vhost = rabbit.admin.add_permitted_user(configure=f"{prefix}.*"), rabbit.admin.add_vhost()
    rabbit.admin.set_policy("short", f"^{prefix}-short$", {"max-length": 1})
    queue = rabbit.queue(rabbit.channel(), f"{prefix}-short", durable=True)
    rabbit.restart()
    connection = rabbit.connect_as(user)
    channel = connection.channel()
    for body_ in (b"1", b"2"):
        rabbit.publish_confirmed(channel, body_, routing_key=queue)
    equal(_all(rabbit, queue), [(b"2", False)])
    other = rabbit.name("not")
    access = rabbit.by_profile({"3.10": "access", "4.3": "configure access"})
    text = f"{access} to queue '{other}' in vhost '{rabbit.vhost}' refused for user '{user}'"
    rabbit.refused(lambda channel: channel.queue_declare(other), 403, text, (50, 10), connection)
    rabbit.connect(virtual_host=vhost).channel()


@case("RESTART-11")
def durable_exchanges_and_bindings_stay(rabbit: Rabbit) -> None:
    """Durable exchanges are the same as before, be they auto-delete or internal, with the bindings between what is
    durable. A message passes by way of three of them.
    """
    channel, raw = rabbit.channel(), rabbit.raw().channel()
    queue, unrouted = _durable(rabbit, channel), _durable(rabbit, channel)
    internal, alternate = rabbit.name("x"), rabbit.exchange(channel, "fanout", durable=True)
    raw.call(amqp.ExchangeDeclare(exchange=internal, type="headers", durable=True, internal=True))
    source = rabbit.exchange(
        channel, "topic", durable=True, auto_delete=True, arguments={"alternate-exchange": alternate}
    )
    channel.exchange_bind(internal, source, "a.*")
    channel.queue_bind(queue, internal, arguments={"x-match": "all", "n": 1})
    channel.queue_bind(unrouted, alternate)
    rabbit.restart()
    channel = rabbit.channel()
    channel.confirm_select()
    rabbit.publish_confirmed(channel, b"1", source, "a.b", headers={"n": 1})
    rabbit.publish_confirmed(channel, b"2", source, "a.b", headers={"n": 2})
    rabbit.publish_confirmed(channel, b"3", source, "b")
    equal(_all(rabbit, queue), [(b"1", False)])
    equal(_all(rabbit, unrouted), [(b"3", False)])
    text = f"cannot publish to internal exchange '{internal}' in vhost '{rabbit.vhost}'"
    rabbit.refused(lambda channel: rabbit.publish(channel, b"", internal), 403, text, (60, 40))
    channel.exchange_unbind(internal, source, "a.*")
    true(not rabbit.has_exchange(source), "the exchange does not know any more that it is auto-delete")


def _exchanges_and_transients(rabbit: Rabbit) -> dict[str, str]:
    """Exchanges by what they are, bound to a durable queue, ``queue``, or to another; then the broker is restarted."""
    channel = rabbit.channel()
    names = {"queue": _durable(rabbit, channel)}
    transient, exclusive = rabbit.queue(channel), rabbit.queue(channel, exclusive=True)
    for what, queue in {"": names["queue"], " to transient": transient, " to exclusive": exclusive}.items():
        names[f"transient{what}"] = rabbit.exchange(channel)
        names[f"transient auto-delete{what}"] = rabbit.exchange(channel, auto_delete=True)
        names[f"durable auto-delete{what}"] = rabbit.exchange(channel, durable=True, auto_delete=True)
        for kind in ("transient", "transient auto-delete", "durable auto-delete"):
            channel.queue_bind(queue, names[kind + what], "k")
    names["chained"] = rabbit.exchange(channel, durable=True, auto_delete=True)
    channel.exchange_bind(names["transient"], names["chained"], "k")
    names["default"] = rabbit.exchange(channel, durable=True)
    channel.queue_bind(transient, names["default"], "k")
    channel.queue_bind(names["queue"], names["default"], "k")
    rabbit.restart()
    return names


def _kept(rabbit: Rabbit, names: dict[str, str]) -> set[str]:
    rabbit.connect()
    return {what for what in names if what == "queue" or rabbit.has_exchange(names[what])} - {"queue"}


def _routed(rabbit: Rabbit, names: dict[str, str], *exchanges: str) -> list[str]:
    """Those of the exchanges from which a message gets into the durable queue."""
    channel = rabbit.channel()
    for what in exchanges:
        rabbit.publish_confirmed(channel, what.encode(), names[what], "k")
    return [text.decode() for text, _ in _all(rabbit, names["queue"])]


@case("RESTART-12", profiles=["3.10"])
def transient_exchanges_vanish(rabbit: Rabbit) -> None:
    """In 3.x transient exchanges, and bindings of what is transient, are gone after a restart. An auto-delete exchange
    that lost its last binding this way stays; one whose last binding went with a connection's exclusive queue does not.
    """
    names = _exchanges_and_transients(rabbit)
    durable = {"durable auto-delete", "durable auto-delete to transient", "chained", "default"}
    equal(_kept(rabbit, names), durable)
    equal(_routed(rabbit, names, "durable auto-delete", "chained", "default"), ["durable auto-delete", "default"])


@case("RESTART-12", profiles=["4.3"])
def transient_exchanges_stay(rabbit: Rabbit) -> None:
    """In 4.x exchanges stay, and route as before. Transient queues are deleted, with which go the auto-delete exchanges
    that have no other binding.
    """
    names = _exchanges_and_transients(rabbit)
    transient = {"transient", "transient to transient", "transient to exclusive", "transient auto-delete"}
    kept = {"durable auto-delete", "chained", "default"} | transient
    equal(_kept(rabbit, names), kept)
    routed = ["transient", "transient auto-delete", "durable auto-delete", "chained", "default"]
    equal(_routed(rabbit, names, *routed), routed)
