"""Names that the broker makes up, in RabbitMQ's form (QUEUE-DECLARE-03, CONSUME-01)."""

from base64 import urlsafe_b64encode
from random import Random


class Names:
    """Draws from the generator it was given, so that the same seed gives the same names."""

    def __init__(self, random: Random) -> None:
        self._random = random

    def _token(self) -> str:
        return urlsafe_b64encode(self._random.randbytes(16)).decode().rstrip("=")

    def queue(self) -> str:
        """``amq.gen-`` and 22 characters."""
        return f"amq.gen-{self._token()}"

    def consumer_tag(self) -> str:
        """``amq.ctag-`` and 22 characters."""
        return f"amq.ctag-{self._token()}"
