"""The x-arguments of queues and exchanges: what is accepted, what is refused and how, and when two sets are the same.

Each argument is declared once, in :data:`QUEUE_ARGUMENTS`; which queue types have it, the profile tells
(``ArgumentsProfile.queue_arguments``). A value that RabbitMQ takes and the emulator lacks is answered with 540.
"""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from hutch.fakebroker.engine.arguments_profile import ArgumentsProfile
from hutch.fakebroker.engine.deprecated import denied
from hutch.fakebroker.engine.errors import internal_error, not_implemented, precondition_failed
from hutch.fakebroker.engine.message_properties import MAX_TTL
from hutch.fakebroker.engine.queues.retention import checked_milliseconds, milliseconds
from hutch.fakebroker.erlang.terms import print_text, type_text
from hutch.wire.fields import FieldTable, FieldValue

if TYPE_CHECKING:
    from hutch.fakebroker.engine.queues.queue import Queue

_INTEGERS: Final = frozenset(
    {"byte", "unsignedbyte", "short", "unsignedshort", "signedint", "unsignedint", "long", "unsignedlong"}
)


class InvalidArgument(Exception):
    """Why a value is refused: ``args[0]`` is the reason as RabbitMQ prints it, an Erlang term."""


_Validator = Callable[[FieldValue, FieldTable, ArgumentsProfile], None]


def why_no_number(value: FieldValue) -> str | None:
    """Why a value is refused where a number is wanted that is not negative; ``None`` if it is one."""
    kind = type_text(value)
    if kind not in _INTEGERS or not isinstance(value, int):
        return f'"expected integer, got {kind}"'
    return f"{{value_negative,{value}}}" if value < 0 else None


def _integer(value: FieldValue, _arguments: FieldTable, _profile: ArgumentsProfile) -> int:
    reason = why_no_number(value)
    if reason is not None or not isinstance(value, int):
        raise InvalidArgument(reason)
    return value


def _ttl(value: FieldValue, arguments: FieldTable, profile: ArgumentsProfile) -> None:
    number = _integer(value, arguments, profile)
    if number > MAX_TTL:
        raise InvalidArgument(f"{{value_too_large,{number}}}")


def _expires(value: FieldValue, arguments: FieldTable, profile: ArgumentsProfile) -> None:
    if _integer(value, arguments, profile) == 0:
        raise InvalidArgument("{value_zero,0}")
    _ttl(value, arguments, profile)


def _longstr(value: FieldValue, _arguments: FieldTable, _profile: ArgumentsProfile) -> str:
    if type_text(value) != "longstr":
        raise InvalidArgument(f"{{unacceptable_type,{type_text(value)}}}")
    return print_text(value)


def _dead_letter_routing_key(value: FieldValue, arguments: FieldTable, profile: ArgumentsProfile) -> None:
    _longstr(value, arguments, profile)
    if "x-dead-letter-exchange" not in arguments:
        raise InvalidArgument("routing_key_but_no_dlx_defined")
    if isinstance(value, bytes):
        raise not_implemented("x-dead-letter-routing-key that is not UTF-8")
    if isinstance(value, str) and len(value.encode()) > 255:
        # RabbitMQ accepts it, and then loses every connection that should get such a message.
        raise not_implemented("x-dead-letter-routing-key of more than 255 bytes")


def _limit(value: FieldValue, arguments: FieldTable, profile: ArgumentsProfile) -> None:
    _integer(value, arguments, profile)


def _dead_letter_strategy(value: FieldValue, arguments: FieldTable, profile: ArgumentsProfile) -> None:
    if _longstr(value, arguments, profile) not in {"at-most-once", "at-least-once"}:
        raise InvalidArgument("invalid_dlx_strategy")


def _max_priority(value: FieldValue, arguments: FieldTable, profile: ArgumentsProfile) -> None:
    number = _integer(value, arguments, profile)
    if number > 255:
        raise InvalidArgument(f"{{max_value_exceeded,{number}}}")


def _overflow(value: FieldValue, arguments: FieldTable, profile: ArgumentsProfile) -> None:
    if _longstr(value, arguments, profile) not in {"drop-head", "reject-publish", "reject-publish-dlx"}:
        raise InvalidArgument("invalid_overflow")


def _bool(value: FieldValue, _arguments: FieldTable, _profile: ArgumentsProfile) -> None:
    if not isinstance(value, bool):
        raise InvalidArgument(f"{{unacceptable_type,{type_text(value)}}}")


def _queue_type(value: FieldValue, arguments: FieldTable, profile: ArgumentsProfile) -> None:
    name = _longstr(value, arguments, profile)
    if name not in profile.queue_arguments and not (name == "" and profile.empty_queue_type_is_default):
        raise InvalidArgument(f"\"unsupported queue type '{name}'\"")


def queue_type_of(arguments: FieldTable, default: str | None) -> str:
    """The queue type that valid arguments ask for; ``default`` is the virtual host's, ``None`` for classic."""
    return str(arguments.get("x-queue-type") or default or "classic")


def _queue_mode(value: FieldValue, arguments: FieldTable, profile: ArgumentsProfile) -> None:
    if profile.queue_modes is None:
        return
    mode = _longstr(value, arguments, profile)
    if mode not in profile.queue_modes:
        raise InvalidArgument(f"\"unsupported queue mode '{mode}'\"")


def _queue_version(value: FieldValue, arguments: FieldTable, profile: ArgumentsProfile) -> None:
    version = _integer(value, arguments, profile)
    if version not in profile.queue_versions:
        raise InvalidArgument(f"\"unsupported queue version '{version}'\"")


def _leader_locator(value: FieldValue, arguments: FieldTable, profile: ArgumentsProfile) -> None:
    if _longstr(value, arguments, profile) not in profile.leader_locators:
        raise InvalidArgument("invalid_queue_locator_arg")


def _max_age(value: FieldValue, _arguments: FieldTable, profile: ArgumentsProfile) -> None:
    if type_text(value) != "longstr" or not isinstance(value, str | bytes):
        raise InvalidArgument(f"{{unacceptable_type,{type_text(value)}}}")
    if checked_milliseconds(value, profile) is None:
        raise InvalidArgument("invalid_max_age")


def _cluster_size(value: FieldValue, arguments: FieldTable, profile: ArgumentsProfile) -> None:
    if _integer(value, arguments, profile) == 0:
        raise InvalidArgument("{value_zero,0}")


@dataclass(frozen=True)
class QueueArgument:
    """One x-argument of queues, and how its value is checked."""

    name: str
    validate: _Validator


def _any(_value: FieldValue, _arguments: FieldTable, _profile: ArgumentsProfile) -> None:
    """Accept any value; what is wrong is refused elsewhere."""


#: In the order in which RabbitMQ checks them.
QUEUE_ARGUMENTS: Final[tuple[QueueArgument, ...]] = (
    QueueArgument("x-expires", _expires),
    QueueArgument("x-message-ttl", _ttl),
    QueueArgument("x-dead-letter-exchange", _any),  # checked first, with an error text of another form
    QueueArgument("x-dead-letter-routing-key", _dead_letter_routing_key),
    QueueArgument("x-dead-letter-strategy", _dead_letter_strategy),
    QueueArgument("x-max-length", _limit),
    QueueArgument("x-max-length-bytes", _limit),
    QueueArgument("x-max-in-memory-length", _limit),
    QueueArgument("x-max-in-memory-bytes", _limit),
    QueueArgument("x-max-priority", _max_priority),
    QueueArgument("x-overflow", _overflow),
    QueueArgument("x-queue-mode", _queue_mode),
    QueueArgument("x-queue-version", _queue_version),
    QueueArgument("x-single-active-consumer", _bool),
    QueueArgument("x-consumer-timeout", _limit),
    QueueArgument("x-consumer-disconnected-timeout", _limit),
    QueueArgument("x-queue-type", _queue_type),
    QueueArgument("x-quorum-initial-group-size", _cluster_size),
    QueueArgument("x-max-age", _max_age),
    QueueArgument("x-stream-max-segment-size-bytes", _limit),
    QueueArgument("x-stream-filter-size-bytes", _limit),
    QueueArgument("x-initial-cluster-size", _cluster_size),
    QueueArgument("x-queue-leader-locator", _leader_locator),
    QueueArgument("x-queue-master-locator", _any),  # checked last of all
)


def check_queue_arguments(
    name: str, vhost: str, arguments: FieldTable, profile: ArgumentsProfile, default_type: str | None
) -> None:
    """Refuse what a new queue of the type that ``arguments`` name, or ``default_type``, cannot be declared with.

    RabbitMQ looks at the type, at the values of what the type has, then at what it has not.

    Raises:
        BrokerError: 406, with RabbitMQ's texts (QUEUE-ARG); 540 for a value that the emulator lacks.
    """
    if not arguments:
        return
    where = f"for queue '{name}' in vhost '{vhost}'"
    exchange = arguments.get("x-dead-letter-exchange", "")
    if type_text(exchange) != "longstr":
        text = f"invalid type '{type_text(exchange)}' for arg 'x-dead-letter-exchange'"
        raise precondition_failed(f"{text} in queue '{name}' in vhost '{vhost}'")
    try:
        checked = "x-queue-type"
        if checked in arguments:
            _queue_type(arguments[checked], arguments, profile)
        queue_type = queue_type_of(arguments, default_type)
        refused = profile.arguments_refused(queue_type)
        for declared in QUEUE_ARGUMENTS:
            checked = declared.name
            if checked in arguments and checked in profile.queue_arguments[queue_type]:
                declared.validate(arguments[checked], arguments, profile)
    except InvalidArgument as reason:
        raise precondition_failed(f"invalid arg '{checked}' {where}: {reason}") from None
    # If RabbitMQ has added the type itself, the arguments are sorted.
    fills_in_type = profile.names_queue_type and not arguments.get("x-queue-type")
    for argument in sorted(arguments) if fills_in_type else arguments:
        if argument in refused:
            raise precondition_failed(f"invalid arg '{argument}' {where} of queue type {erlang_type(queue_type)}")


def check_queue_properties(
    name: str, vhost: str, queue_type: str, *, durable: bool, exclusive: bool, auto_delete: bool
) -> None:
    """Refuse what only classic queues can be.

    Raises:
        BrokerError: 406 (QUEUE-ARG-25).
    """
    if queue_type == "classic":
        return
    for refused, what in ((auto_delete, "auto-delete"), (exclusive, "exclusive-owner"), (not durable, "non-durable")):
        if refused:
            raise precondition_failed(f"invalid property '{what}' for queue '{name}' in vhost '{vhost}'")


def check_stream_sizes(arguments: FieldTable, profile: ArgumentsProfile) -> None:
    """Refuse sizes that a new stream cannot have, after all else that may be wrong with it.

    Raises:
        BrokerError: 406 (QUEUE-ARG-28, QUEUE-ARG-29).
    """
    segment = arguments.get("x-stream-max-segment-size-bytes")
    if isinstance(segment, int) and segment > 3_000_000_000:
        raise precondition_failed("Exceeded max value for x-stream-max-segment-size-bytes")
    filters = "x-stream-filter-size-bytes"
    size = arguments.get(filters) if filters in profile.queue_arguments["stream"] else None
    if isinstance(size, int) and not 16 <= size <= 255:
        raise precondition_failed(f"Invalid value for {filters}")


def check_server_named(arguments: FieldTable, profile: ArgumentsProfile) -> None:
    """Refuse to make up a name for a queue of another type than classic.

    Raises:
        BrokerError: 406 (QUEUE-ARG-30); 541, for types over which RabbitMQ crashes.
    """
    value = arguments.get("x-queue-type", "classic")
    if value == "classic":
        return
    if isinstance(value, str) and value in {"quorum", "stream"}:
        raise precondition_failed(f"Cannot declare a server-named queue for type {erlang_type(value)}")
    if not profile.names_queue_type:
        raise internal_error()
    if isinstance(value, str | bytes | bool):
        if value != "":
            raise precondition_failed(f"unknown queue type '{print_text(value)}'")
    elif value is not None:
        raise internal_error()


def erlang_type(queue_type: str) -> str:
    """What RabbitMQ's texts call a queue type."""
    return f"rabbit_{queue_type}_queue"


def check_master_locator(arguments: FieldTable, profile: ArgumentsProfile, *, exclusive: bool) -> None:
    """Refuse the place to put a new queue's master, after all else that may be wrong with it (QUEUE-ARG-18). Nobody
    looks at that of an exclusive queue.

    Raises:
        BrokerError: 541: it is a deprecated feature, denied; or one that is not known, over which 3.10 crashes.
    """
    if "x-queue-master-locator" in arguments:
        if not profile.permits_master_locator:
            raise denied("queue_master_locator")
        locator = arguments["x-queue-master-locator"]
        if isinstance(locator, bytes):
            locator = locator.decode(errors="replace")
        known = profile.master_locators
        if not exclusive and known is not None and not (isinstance(locator, str) and locator in known):
            raise internal_error()


def assert_equivalent(kind: str, name: str, vhost: str, argument: str, received: object, current: object) -> None:
    """Refuse a redeclaration whose property differs, ``durable`` say.

    Raises:
        BrokerError: 406 (QUEUE-DECLARE-11, EXCH-DECLARE-10).
    """
    if received != current:
        texts = (str(value).lower() if isinstance(value, bool) else str(value) for value in (received, current))
        raise _inequivalent(kind, name, vhost, argument, *(f"'{text}'" for text in texts))


def assert_same_argument(kind: str, name: str, vhost: str, argument: str, new: FieldTable, old: FieldTable) -> None:
    """Refuse a redeclaration in which an argument was added, dropped or changed.

    Raises:
        BrokerError: 406 in one of three shapes (QUEUE-DECLARE-15 to QUEUE-DECLARE-19, EXCH-DECLARE-13 to -15); 541
            where one of two values is a decimal, which RabbitMQ cannot print there.
    """
    if argument not in new and argument not in old:
        return
    if argument not in old:
        raise _inequivalent(kind, name, vhost, argument, _described(new[argument]), "none")
    if argument not in new:
        raise _inequivalent(kind, name, vhost, argument, "none", _described(old[argument]))
    received, current = new[argument], old[argument]
    if not _same_value(received, current):
        if isinstance(received, Decimal) or isinstance(current, Decimal):
            raise internal_error()
        raise _inequivalent(kind, name, vhost, argument, _printed(received), _printed(current))


def _same_value(one: FieldValue, other: FieldValue) -> bool:
    kinds = {type_text(one), type_text(other)}
    if kinds <= _INTEGERS or kinds <= {"longstr", "binary"} or kinds <= {"float", "double"} or len(kinds) == 1:
        raw = (value.encode() if isinstance(value, str) else value for value in (one, other))
        return next(raw) == next(raw)
    return False


def _printed(value: FieldValue) -> str:
    return "none" if value is None else f"'{print_text(value)}'"


def _described(value: FieldValue) -> str:
    return f"the value '{print_text(value)}' of type '{type_text(value)}'"


def _inequivalent(kind: str, name: str, vhost: str, argument: str, received: str, current: str) -> Exception:
    return precondition_failed(
        f"inequivalent arg '{argument}' for {kind} '{name}' in vhost '{vhost}': "
        f"received {received} but current is {current}"
    )


def compare_queue_arguments(queue: "Queue", new: FieldTable) -> None:
    """Refuse a redeclaration whose arguments are not those the queue has; unknown ones, and those that the queue's type
    refuses, do not count (QUEUE-DECLARE-20).

    Raises:
        BrokerError: 406.
    """
    name, vhost, old, profile = queue.name, queue.vhost.name, queue.arguments, queue.vhost.node.profile.arguments
    if profile.compares_max_age_in_ms:
        new, old = _with_max_age_in_ms(new), _with_max_age_in_ms(old)
    for argument in profile.queue_arguments[queue.type]:
        if argument == "x-queue-type":
            types = [table.get("x-queue-type", "classic") for table in (new, old)]
            if types[0] == types[1]:
                continue
            if profile.names_queue_type:
                texts = (f"'{print_text(kind)}'" for kind in types)
                raise _inequivalent("queue", name, vhost, argument, *texts)
        assert_same_argument("queue", name, vhost, argument, new, old)


def _with_max_age_in_ms(arguments: FieldTable) -> FieldTable:
    age = arguments.get("x-max-age")
    if isinstance(age, str) and (number := milliseconds(age)) is not None:
        return {**arguments, "x-max-age": str(number)}
    return arguments
