"""The methods of AMQP's class ``queue``."""

from typing import Literal, overload

from hutch.client.abstract_channel import AbstractChannel
from hutch.client.exchange import Arguments
from hutch.client.protocol import queue_declare_ok_t
from hutch.wire.methods import (
    EMPTY_TABLE,
    QueueBind,
    QueueBindOk,
    QueueDeclare,
    QueueDeclareOk,
    QueueDelete,
    QueueDeleteOk,
    QueuePurge,
    QueuePurgeOk,
    QueueUnbind,
    QueueUnbindOk,
)


class QueueMethods(AbstractChannel):
    """Declaring, binding, purging and deleting queues (https://www.rabbitmq.com/docs/queues).

    An empty ``queue`` stands for the one that this channel declared last. With ``nowait`` nothing is awaited or
    returned; an error closes the channel, as the next call that waits will tell.
    """

    @overload
    def queue_declare(
        self,
        queue: str = "",
        passive: bool = False,
        durable: bool = False,
        exclusive: bool = False,
        auto_delete: bool = True,
        nowait: Literal[False] = False,
        arguments: Arguments = None,
    ) -> queue_declare_ok_t: ...

    @overload
    def queue_declare(
        self,
        queue: str = "",
        passive: bool = False,
        durable: bool = False,
        exclusive: bool = False,
        auto_delete: bool = True,
        nowait: bool = False,
        arguments: Arguments = None,
    ) -> queue_declare_ok_t | None: ...

    def queue_declare(
        self,
        queue: str = "",
        passive: bool = False,
        durable: bool = False,
        exclusive: bool = False,
        auto_delete: bool = True,
        nowait: bool = False,
        arguments: Arguments = None,
    ) -> queue_declare_ok_t | None:
        """Create a queue, or verify that one of that name has these settings.

        The broker names it where ``queue`` is empty. ``passive`` only verifies that it is there.

        Raises:
            PreconditionFailed: it is there with other settings, or an argument is not valid.
            NotFound: ``passive``, and it is not there.
            ResourceLocked: it is exclusive to another connection.
        """
        method = QueueDeclare(
            queue=queue or "",
            passive=passive,
            durable=durable,
            exclusive=exclusive,
            auto_delete=auto_delete,
            nowait=nowait,
            arguments=arguments or EMPTY_TABLE,
        )
        answer = self._call_unless(nowait, method, QueueDeclareOk)
        if answer is None:
            return None
        return queue_declare_ok_t(answer.queue, answer.message_count, answer.consumer_count)

    def queue_bind(
        self,
        queue: str,
        exchange: str = "",
        routing_key: str = "",
        nowait: bool = False,
        arguments: Arguments = None,
    ) -> None:
        """Have ``queue`` get what ``exchange`` routes to ``routing_key``, as its type sees it.

        Raises:
            NotFound: one of the two is not there.
        """
        method = QueueBind(
            queue=queue or "",
            exchange=exchange or "",
            routing_key=routing_key or "",
            nowait=nowait,
            arguments=arguments or EMPTY_TABLE,
        )
        self._call_unless(nowait, method, QueueBindOk)

    def queue_unbind(
        self,
        queue: str,
        exchange: str,
        routing_key: str = "",
        nowait: bool = False,
        arguments: Arguments = None,
    ) -> None:
        """Undo a :meth:`queue_bind` of the same arguments.

        AMQP's method has no ``nowait``: with it the answer, which comes all the same, is not awaited.
        """
        method = QueueUnbind(
            queue=queue or "",
            exchange=exchange or "",
            routing_key=routing_key or "",
            arguments=arguments or EMPTY_TABLE,
        )
        if nowait:
            self._post(method, QueueUnbindOk)
        else:
            self._call(method, QueueUnbindOk)

    @overload
    def queue_delete(
        self, queue: str = "", if_unused: bool = False, if_empty: bool = False, nowait: Literal[False] = False
    ) -> int: ...

    @overload
    def queue_delete(
        self, queue: str = "", if_unused: bool = False, if_empty: bool = False, nowait: bool = False
    ) -> int | None: ...

    def queue_delete(
        self,
        queue: str = "",
        if_unused: bool = False,
        if_empty: bool = False,
        nowait: bool = False,
    ) -> int | None:
        """Delete a queue and tell how many messages went with it; one that is not there counts as deleted.

        Raises:
            PreconditionFailed: ``if_unused`` and it has consumers, or ``if_empty`` and it has messages.
            ResourceLocked: it is exclusive to another connection.
        """
        method = QueueDelete(queue=queue or "", if_unused=if_unused, if_empty=if_empty, nowait=nowait)
        answer = self._call_unless(nowait, method, QueueDeleteOk)
        return None if answer is None else answer.message_count

    @overload
    def queue_purge(self, queue: str = "", nowait: Literal[False] = False) -> int: ...

    @overload
    def queue_purge(self, queue: str = "", nowait: bool = False) -> int | None: ...

    def queue_purge(self, queue: str = "", nowait: bool = False) -> int | None:
        """Remove a queue's ready messages and tell how many they were.

        Raises:
            NotFound: it is not there.
        """
        method = QueuePurge(queue=queue or "", nowait=nowait)
        answer = self._call_unless(nowait, method, QueuePurgeOk)
        return None if answer is None else answer.message_count
