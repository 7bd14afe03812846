"""The methods of AMQP's class ``tx``."""

from hutch.client.abstract_channel import AbstractChannel
from hutch.wire.methods import TxCommit, TxCommitOk, TxRollback, TxRollbackOk, TxSelect, TxSelectOk


class TxMethods(AbstractChannel):
    """Transactions of one channel: what it publishes and acknowledges counts once it is committed.

    See https://www.rabbitmq.com/docs/semantics#tx. What it receives is not part of a transaction.
    """

    def tx_select(self) -> None:
        """Make the channel transactional, for as long as it is open; once more changes nothing.

        Raises:
            PreconditionFailed: the channel is in confirm mode (CONFIRM-03).
        """
        self._call(TxSelect(), TxSelectOk)

    def tx_commit(self) -> None:
        """Have all that was published and acknowledged since the last commit or rollback take effect.

        Messages that no queue got come back before this returns, if they were published ``mandatory`` (TX-06).

        Raises:
            PreconditionFailed: the channel is not transactional (TX-02).
            ResourceError: RabbitMQ 4.3, where a queue was deleted meanwhile; the connection is lost (TX-15).
        """
        self._call(TxCommit(), TxCommitOk)

    def tx_rollback(self) -> None:
        """Forget what was published and acknowledged since then. Those messages are unacknowledged again (TX-09).

        Raises:
            PreconditionFailed: the channel is not transactional (TX-02).
        """
        self._call(TxRollback(), TxRollbackOk)
