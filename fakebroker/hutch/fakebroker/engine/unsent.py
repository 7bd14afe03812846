"""What a client that does not read is handed (CONSUME-33): a bound beside prefetch, of which RabbitMQ's classic queues
alone know.
"""

from typing import Final

#: How many messages a queue hands to a channel before the channel reports that some were sent, and how many it reports
#: together. RabbitMQ calls them UNSENT_MESSAGE_LIMIT and MORE_CONSUMER_CREDIT_AFTER.
LIMIT: Final = 200
STEP: Final = 50


class Unsent:
    """The messages that a queue has handed to a sink and not heard of as sent.

    The queue's consumers with that sink share it: ``consumers`` is how many there are, ``count`` how many messages.
    """

    __slots__ = ("consumers", "count")

    def __init__(self) -> None:
        self.consumers = 0
        self.count = 0
