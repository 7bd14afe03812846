"""Names with line breaks in them: who reads over these, and who does not (QUEUE-DECLARE-10)."""

from hutch.conformance.case import case
from hutch.conformance.check import equal, true
from hutch.conformance.rabbit import Rabbit


@case("QUEUE-DECLARE-10", "EXCH-BIND-01", "EXCH-BIND-03")
def line_breaks_in_the_names_of_a_binding(rabbit: Rabbit) -> None:
    """Queue.bind and queue.unbind ignore line breaks in the names of queue and exchange, but not in the key."""
    channel = rabbit.channel()
    exchange, queue = rabbit.exchange(channel), rabbit.queue(channel)
    channel.queue_bind(f"{queue}\n", exchange, "a")
    channel.queue_bind(queue, f"{exchange}\r\n", "b")
    channel.queue_bind(queue, exchange, "c\n")
    for key in ("a", "b", "c", "c\n"):
        rabbit.publish(channel, key.encode(), exchange, key)
    equal(rabbit.bodies(channel, queue), [b"a", b"b", b"c\n"], "bound")
    channel.queue_unbind(f"{queue}\n", exchange, "a")
    channel.queue_unbind(queue, f"{exchange}\n", "b")
    channel.queue_unbind(queue, exchange, "c")
    for key in ("a", "b", "c\n"):
        rabbit.publish(channel, key.encode(), exchange, key)
    equal(rabbit.bodies(channel, queue), [b"c\n"], "still bound")
    text = f"no queue '' in vhost '{rabbit.vhost}'"
    rabbit.refused(lambda other: other.queue_bind("\n", "amq.direct"), 404, text, (50, 20))


@case("QUEUE-DECLARE-10", "EXCH-BIND-04", "EXCH-BIND-05")
def line_breaks_in_the_names_of_exchanges(rabbit: Rabbit) -> None:
    """Exchange.bind and exchange.unbind ignore line breaks in names. A name of only line breaks is the default
    exchange's.
    """
    channel = rabbit.channel()
    source, between = rabbit.exchange(channel), rabbit.exchange(channel, "fanout")
    queue = rabbit.bound(channel, between)
    channel.exchange_bind(f"{between}\n", source, "a")
    channel.exchange_bind(between, f"{source}\r", "b")
    for key in ("a", "b"):
        rabbit.publish(channel, key.encode(), source, key)
    equal(rabbit.bodies(channel, queue), [b"a", b"b"], "bound")
    channel.exchange_unbind(f"{between}\r\n", source, "a")
    channel.exchange_unbind(between, f"{source}\n", "b")
    for key in ("a", "b"):
        rabbit.publish(channel, key.encode(), source, key)
    equal(rabbit.bodies(channel, queue), [], "still bound")
    text = "operation not permitted on the default exchange"
    rabbit.refused(lambda other: other.exchange_bind(between, "\n", "a"), 403, text, (40, 30))
    rabbit.refused(lambda other: other.exchange_unbind("\r\n", source, "a"), 403, text, (40, 40))
    rabbit.refused(lambda other: other.queue_bind(queue, "\n", "a"), 403, text, (50, 20))
    rabbit.refused(lambda other: other.queue_unbind(queue, "\n", "a"), 403, text, (50, 50))


@case("QUEUE-DECLARE-10", "QUEUE-DELETE-01")
def line_breaks_in_the_names_of_queues(rabbit: Rabbit) -> None:
    """Queue.delete ignores line breaks; queue.purge, basic.get and basic.consume look for the exact name."""
    channel = rabbit.channel()
    queue = rabbit.queue(channel)
    text = f"no queue '{queue}\n' in vhost '{rabbit.vhost}'"
    rabbit.refused(lambda other: other.queue_purge(f"{queue}\n"), 404, text, (50, 30))
    rabbit.refused(lambda other: other.basic_get(f"{queue}\n"), 404, text, (60, 70))
    rabbit.refused(lambda other: other.basic_consume(f"{queue}\n"), 404, text, (60, 20))
    channel.queue_delete(f"{queue}\n")
    true(not rabbit.has_queue(queue), "the queue is still there")
