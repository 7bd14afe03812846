"""The public names that users of py-amqp and of kombu's transport ``pyamqp`` know, and which test shows which.

The names are those of kombu's page on that transport and of py-amqp 5.4. Left out is ``argsig``, the wire types of a
method's fields, which this client declares with the method.
"""

from collections.abc import Callable
from typing import Any, Final, TypeVar

_Test = TypeVar("_Test", bound=Callable[..., Any])


def expand(*entries: str) -> set[str]:
    """The names in entries such as ``Channel.basic_ack(delivery_tag, multiple)``: the method, and each parameter.

    >>> sorted(expand("Channel.basic_ack(delivery_tag)"))
    ['Channel.basic_ack', 'Channel.basic_ack(delivery_tag)']
    """
    names = set()
    for entry in entries:
        name, opened, parameters = entry.partition("(")
        names.add(name)
        if opened:
            names.update(f"{name}({parameter.strip()})" for parameter in parameters.removesuffix(")").split(","))
    return names


_CONNECTION = """
    __init__(host, userid, password, login_method, login_response, authentication, virtual_host, locale)
    __init__(client_properties, ssl, connect_timeout, channel_max, frame_max, heartbeat)
    __init__(on_open, on_blocked, on_unblocked, confirm_publish, on_tune_ok)
    __init__(read_timeout, write_timeout, socket_settings, frame_handler, frame_writer)
    __enter__ __exit__
    Channel Transport(host, connect_timeout, ssl, read_timeout, write_timeout, socket_settings)
    auto_decode channel_id connection is_closing method_queue channels
    connect(callback) connected channel(channel_id, callback) close(reply_code, reply_text, method_sig) collect
    drain_events(timeout) blocking_read(timeout) is_alive
    heartbeat client_heartbeat server_heartbeat heartbeat_tick(rate) send_heartbeat
    last_heartbeat_received last_heartbeat_sent prev_recv prev_sent bytes_recv bytes_sent
    channel_errors connection_errors recoverable_channel_errors recoverable_connection_errors
    library_properties negotiate_capabilities server_capabilities server_properties client_properties
    version_major version_minor mechanisms locales
    sock transport frame_writer on_inbound_frame on_inbound_method
    dispatch_method(method_sig, payload, content)
    send_method(sig, format, args, content, wait, callback, returns_tuple)
    wait(method, callback, timeout, returns_tuple)
    then(on_success, on_error)
"""

_CHANNEL = """
    __init__(connection, channel_id, auto_decode, on_open)
    __enter__ __exit__
    auto_decode channel_id connection is_closing method_queue is_open active events callbacks cancel_callbacks
    no_ack_consumers returned_messages on_open
    open close(reply_code, reply_text, method_sig) collect flow(active)
    basic_ack(delivery_tag, multiple) basic_reject(delivery_tag, requeue) basic_cancel(consumer_tag, nowait)
    basic_consume(queue, consumer_tag, no_local, no_ack, exclusive, nowait, callback, arguments, on_cancel)
    basic_get(queue, no_ack)
    basic_publish(msg, exchange, routing_key, mandatory, immediate, timeout, confirm_timeout)
    basic_publish_confirm basic_qos(prefetch_size, prefetch_count, a_global)
    basic_recover(requeue) basic_recover_async(requeue) confirm_select(nowait)
    exchange_declare(exchange, type, passive, durable, auto_delete, nowait, arguments)
    exchange_delete(exchange, if_unused, nowait)
    exchange_bind(destination, source, routing_key, nowait, arguments)
    exchange_unbind(destination, source, routing_key, nowait, arguments)
    queue_declare(queue, passive, durable, exclusive, auto_delete, nowait, arguments)
    queue_bind(queue, exchange, routing_key, nowait, arguments)
    queue_unbind(queue, exchange, routing_key, nowait, arguments)
    queue_delete(queue, if_unused, if_empty, nowait) queue_purge(queue, nowait)
    tx_select tx_commit tx_rollback
    dispatch_method(method_sig, payload, content)
    send_method(sig, format, args, content, wait, callback, returns_tuple)
    wait(method, callback, timeout, returns_tuple)
    then(on_success, on_error)
"""

_MESSAGE = """
    __init__(body, channel)
    body channel properties headers delivery_info delivery_tag
    content_type content_encoding application_headers delivery_mode priority correlation_id reply_to expiration
    message_id timestamp type user_id app_id cluster_id
"""

_KOMBU_TRANSPORT = """
    __init__(client, default_port, default_ssl_port)
    Connection connection_errors channel_errors recoverable_connection_errors recoverable_channel_errors
    default_connection_params default_port default_ssl_port driver_name driver_type driver_version implements
    establish_connection close_connection verify_connection create_channel drain_events
    heartbeat_check(connection, rate) get_heartbeat_interval register_with_event_loop qos_semantics_matches_spec
    get_manager
"""

_KOMBU_CHANNEL = """
    Message Consumer Producer after_reply_message_received(queue) get_bindings
    message_to_python(raw_message) prepare_queue_arguments(arguments)
    prepare_message(body, priority, content_type, content_encoding, headers, properties)
"""

_KOMBU_MESSAGE = """
    __init__(msg, channel)
    MessageStateError
    accept body channel content_encoding content_type delivery_info delivery_tag headers properties errors
    ack(multiple) ack_log_error(logger, errors, multiple) reject(requeue) reject_log_error(logger, errors, requeue)
    requeue acknowledged decode payload
"""


def _of(owner: str, text: str) -> set[str]:
    """The names of a class: entries are separated by blanks outside parentheses."""
    entries, depth, entry = [], 0, ""
    for character in text + " ":
        depth += (character == "(") - (character == ")")
        if character.isspace() and not depth:
            entries.append(entry)
            entry = ""
        else:
            entry += character
    return expand(*(f"{owner}.{entry}" for entry in entries if entry))


#: All names: ``Class.name`` for attributes and methods, ``Class.method(parameter)`` for parameters. Names of kombu's
#: transport begin with ``kombu.``.
NAMES: Final = (
    _of("Connection", _CONNECTION)
    | _of("Channel", _CHANNEL)
    | _of("Message", _MESSAGE)
    | _of("kombu.Transport", _KOMBU_TRANSPORT)
    | _of("kombu.Connection", "Channel")
    | _of("kombu.Channel", _KOMBU_CHANNEL)
    | _of("kombu.Message", _KOMBU_MESSAGE)
    # Forms of a URL, and of the ssl argument of kombu.Connection.
    | _of("kombu", "Transport Connection Channel Message")
    | _of("kombu", "URL(amqp, amqps, bare) ssl(True, dict, server_hostname) transport_options SSLTransport")
)


def shows(*entries: str) -> Callable[[_Test], _Test]:
    """Tell that a test shows these names: ``@shows("Channel.basic_ack(delivery_tag, multiple)", "Message.body")``.

    The test takes the fixture ``target``, so that it is shown on every broker.
    """

    def mark(test: _Test) -> _Test:
        known: set[str] = getattr(test, "shown_names", set())
        test.shown_names = known | expand(*entries)  # type: ignore[attr-defined]
        return test

    return mark
