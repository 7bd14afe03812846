"""The default queue type of a virtual host (QUEUE-DECLARE-28)."""

# ruff: noqa: B023  (what is handed to refused() is called before the loop goes on)

from hutch.client import AMQPError
from hutch.conformance.case import case
from hutch.conformance.rabbit import Rabbit
from hutch.conformance.site import Inapplicable

_TYPES = ("quorum", "stream")


def _differs(vhost: str, queue: str, received: str, current: str) -> str:
    where = f"for queue '{queue}' in vhost '{vhost}'"
    return f"inequivalent arg 'x-queue-type' {where}: received '{received}' but current is '{current}'"


def _needs_classic(rabbit: Rabbit) -> None:
    """Have the case apply to nodes alone whose own default is classic."""
    connection = rabbit.connect(virtual_host=rabbit.admin.add_vhost(None))
    queue = rabbit.queue(connection.channel(), durable=True)
    try:
        rabbit.queue(connection.channel(), queue, durable=True, arguments={"x-queue-type": "classic"})
    except AMQPError:
        raise Inapplicable("needs a node whose default_queue_type is classic") from None


@case("QUEUE-DECLARE-28", profiles=["3.10"])
def a_default_queue_type_that_is_ignored(rabbit: Rabbit) -> None:
    """3.x accepts a default queue type for a virtual host and ignores it."""
    for default in _TYPES:
        vhost = rabbit.admin.add_vhost(default)
        connection = rabbit.connect(virtual_host=vhost)
        channel = connection.channel()
        for arguments in ({}, {"x-queue-type": "classic"}, {"x-max-priority": 5}):
            queue = rabbit.queue(channel, durable=True, arguments=arguments)
            rabbit.queue(channel, queue, durable=True, arguments={"x-queue-type": "classic", **arguments})


@case("QUEUE-DECLARE-28", profiles=["4.3"])
def a_default_queue_type(rabbit: Rabbit) -> None:
    """4.x gives durable queues that are declared without a type the default of their virtual host. A redeclaration
    leaves the type out, or names the default.
    """
    for default in _TYPES:
        vhost = rabbit.admin.add_vhost(default)
        connection = rabbit.connect(virtual_host=vhost)
        channel = connection.channel()
        for arguments in ({}, {"x-queue-type": default}):
            queue = rabbit.queue(channel, durable=True, arguments=arguments)
            rabbit.queue(channel, queue, durable=True)
            rabbit.queue(channel, queue, durable=True, arguments={"x-queue-type": default})
            rabbit.refused(
                lambda channel: rabbit.queue(channel, queue, durable=True, arguments={"x-queue-type": "classic"}),
                406,
                _differs(vhost, queue, "classic", default),
                (50, 10),
                connection,
            )
        classic = rabbit.queue(channel, durable=True, arguments={"x-queue-type": "classic"})
        rabbit.refused(
            lambda channel: rabbit.queue(channel, classic, durable=True),
            406,
            _differs(vhost, classic, default, "classic"),
            (50, 10),
            connection,
        )


@case("QUEUE-DECLARE-28", profiles=["4.3"])
def queues_that_the_default_type_is_not_for(rabbit: Rabbit) -> None:
    """Transient, exclusive and auto-delete queues are classic, whatever the default is. Arguments and name of a durable
    queue must be valid for the default type.
    """
    for default in _TYPES:
        vhost = rabbit.admin.add_vhost(default)
        connection = rabbit.connect(virtual_host=vhost)
        channel = connection.channel()
        for durable, exclusive, auto_delete in ((False, False, False), (True, True, False), (True, False, True)):
            kind = {"durable": durable, "exclusive": exclusive, "auto_delete": auto_delete}
            queue = rabbit.queue(channel, None, arguments={"x-max-priority": 5}, **kind)
            rabbit.queue(channel, queue, arguments={"x-max-priority": 5, "x-queue-type": "classic"}, **kind)
        where = f"for queue 'q' in vhost '{vhost}' of queue type rabbit_{default}_queue"
        rabbit.refused(
            lambda channel: rabbit.queue(channel, "q", durable=True, arguments={"x-max-priority": 5}),
            406,
            f"invalid arg 'x-max-priority' {where}",
            (50, 10),
            connection,
        )
        rabbit.refused(
            lambda channel: rabbit.queue(channel, "", durable=True),
            406,
            f"Cannot declare a server-named queue for type rabbit_{default}_queue",
            (50, 10),
            connection,
        )
        rabbit.queue(channel, "")


@case("QUEUE-DECLARE-28", profiles=["4.3"])
def default_queue_types_that_are_refused(rabbit: Rabbit) -> None:
    """A virtual host cannot have a default queue type that does not exist."""
    for default in ("bogus", ""):
        rabbit.admin.expect_refused(lambda: rabbit.admin.add_vhost(default))


@case("QUEUE-DECLARE-28", "QUEUE-ARG-14", profiles=["4.3"])
def an_empty_queue_type_is_the_default_type(rabbit: Rabbit) -> None:
    """In 4.x an empty x-queue-type means the default type for every kind of queue, also for a server-named one. That
    type may refuse the queue. A redeclaration must leave it empty too.
    """
    _needs_classic(rabbit)
    empty = {"x-queue-type": ""}
    for default, foreign in (("quorum", "x-max-age"), ("stream", "x-delivery-limit")):
        vhost = rabbit.admin.add_vhost(default)
        connection = rabbit.connect(virtual_host=vhost)
        channel = connection.channel()
        rabbit.queue(channel, "", durable=True, arguments=empty)
        queue = rabbit.queue(channel, durable=True, arguments=empty)
        rabbit.queue(channel, queue, durable=True, arguments=empty)
        for named in ({}, {"x-queue-type": default}):
            rabbit.refused(
                lambda channel: rabbit.queue(channel, queue, durable=True, arguments=named),
                406,
                _differs(vhost, queue, default, ""),
                (50, 10),
                connection,
            )
        rabbit.refused(
            lambda channel: rabbit.queue(channel, "p", durable=True, arguments={**empty, foreign: "1h"}),
            406,
            f"invalid arg '{foreign}' for queue 'p' in vhost '{vhost}' of queue type rabbit_{default}_queue",
            (50, 10),
            connection,
        )
        for durable, exclusive, auto_delete, what in (
            (False, False, False, "non-durable"),
            (True, True, False, "exclusive-owner"),
            (True, False, True, "auto-delete"),
        ):
            kind_of_queue = {"durable": durable, "exclusive": exclusive, "auto_delete": auto_delete}
            rabbit.refused(
                lambda channel: rabbit.queue(channel, "p", arguments=empty, **kind_of_queue),
                406,
                f"invalid property '{what}' for queue 'p' in vhost '{vhost}'",
                (50, 10),
                connection,
            )


@case("QUEUE-DECLARE-28", profiles=["4.3"])
def a_virtual_host_that_is_set_anew(rabbit: Rabbit) -> None:
    """A virtual host that an operator sets again has the default queue type that is given then, or none."""
    _needs_classic(rabbit)
    vhost = rabbit.admin.add_vhost("quorum")
    connection = rabbit.connect(virtual_host=vhost)
    for default, other in (("stream", "quorum"), (None, "stream")):
        rabbit.admin.change_vhost(vhost, default)
        channel = connection.channel()
        queue = rabbit.queue(channel, durable=True)
        rabbit.refused(
            lambda channel: rabbit.queue(channel, queue, durable=True, arguments={"x-queue-type": other}),
            406,
            _differs(vhost, queue, other, default or "classic"),
            (50, 10),
            connection,
        )
