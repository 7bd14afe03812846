"""Reply codes of AMQP 0-9-1 (spec, section 1.2) with the names RabbitMQ prints before its reply texts."""

from enum import IntEnum


class ReplyCode(IntEnum):
    """A reply code. ``str(code)`` is the name that begins RabbitMQ's reply text, ``NOT_FOUND`` for 404."""

    REPLY_SUCCESS = 200
    CONTENT_TOO_LARGE = 311
    NO_ROUTE = 312
    NO_CONSUMERS = 313
    CONNECTION_FORCED = 320
    INVALID_PATH = 402
    ACCESS_REFUSED = 403
    NOT_FOUND = 404
    RESOURCE_LOCKED = 405
    PRECONDITION_FAILED = 406
    FRAME_ERROR = 501
    SYNTAX_ERROR = 502
    COMMAND_INVALID = 503
    CHANNEL_ERROR = 504
    UNEXPECTED_FRAME = 505
    RESOURCE_ERROR = 506
    NOT_ALLOWED = 530
    NOT_IMPLEMENTED = 540
    INTERNAL_ERROR = 541

    @property
    def closes_connection(self) -> bool:
        """Whether the spec makes it a hard error, one that closes the connection and not the channel alone."""
        return self in _HARD

    def __str__(self) -> str:
        return self.name


_HARD = frozenset(
    code for code in ReplyCode if code >= 500 or code in {ReplyCode.CONNECTION_FORCED, ReplyCode.INVALID_PATH}
)
