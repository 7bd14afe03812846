"""The methods of AMQP's class ``exchange``."""

from collections.abc import Mapping
from typing import Any

from hutch.client.abstract_channel import AbstractChannel
from hutch.wire.methods import (
    EMPTY_TABLE,
    ExchangeBind,
    ExchangeBindOk,
    ExchangeDeclare,
    ExchangeDeclareOk,
    ExchangeDelete,
    ExchangeDeleteOk,
    ExchangeUnbind,
    ExchangeUnbindOk,
)

#: Not of FieldValue: to a type checker a literal with values of several types is a ``dict[str, object]``.
Arguments = Mapping[str, Any] | None


class ExchangeMethods(AbstractChannel):
    """Declaring, deleting and binding exchanges (https://www.rabbitmq.com/docs/exchanges).

    With ``nowait`` nothing is awaited; an error closes the channel, as the next call that waits will tell.
    """

    def exchange_declare(
        self,
        exchange: str,
        type: str,  # noqa: A002  (py-amqp's name)
        passive: bool = False,
        durable: bool = False,
        auto_delete: bool = True,
        nowait: bool = False,
        arguments: Arguments = None,
    ) -> None:
        """Create an exchange, or verify that one of that name has these settings.

        ``passive`` only verifies that it is there.

        Raises:
            PreconditionFailed: it is there with other settings, or the type is unknown.
            NotFound: ``passive``, and it is not there.
        """
        method = ExchangeDeclare(
            exchange=exchange or "",
            type=type or "",
            passive=passive,
            durable=durable,
            auto_delete=auto_delete,
            nowait=nowait,
            arguments=arguments or EMPTY_TABLE,
        )
        self._call_unless(nowait, method, ExchangeDeclareOk)

    def exchange_delete(self, exchange: str, if_unused: bool = False, nowait: bool = False) -> None:
        """Delete an exchange; one that is not there counts as deleted.

        Raises:
            PreconditionFailed: ``if_unused``, and something is bound to it.
        """
        method = ExchangeDelete(exchange=exchange or "", if_unused=if_unused, nowait=nowait)
        self._call_unless(nowait, method, ExchangeDeleteOk)

    def exchange_bind(
        self,
        destination: str,
        source: str = "",
        routing_key: str = "",
        nowait: bool = False,
        arguments: Arguments = None,
    ) -> None:
        """Have ``destination`` get what ``source`` routes (https://www.rabbitmq.com/docs/e2e).

        Raises:
            NotFound: one of the two is not there.
        """
        method = ExchangeBind(
            destination=destination or "",
            source=source or "",
            routing_key=routing_key or "",
            nowait=nowait,
            arguments=arguments or EMPTY_TABLE,
        )
        self._call_unless(nowait, method, ExchangeBindOk)

    def exchange_unbind(
        self,
        destination: str,
        source: str = "",
        routing_key: str = "",
        nowait: bool = False,
        arguments: Arguments = None,
    ) -> None:
        """Undo an :meth:`exchange_bind` of the same arguments."""
        method = ExchangeUnbind(
            destination=destination or "",
            source=source or "",
            routing_key=routing_key or "",
            nowait=nowait,
            arguments=arguments or EMPTY_TABLE,
        )
        self._call_unless(nowait, method, ExchangeUnbindOk)
