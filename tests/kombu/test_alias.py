"""kombu's own transport ``pyamqp`` on this client: an alias puts it in py-amqp's place."""

import subprocess
import sys

from hutch.fakebroker import Broker

#: What an application runs before it imports kombu.
ALIAS = """
import sys
from hutch import client
from hutch.client import exceptions, protocol
sys.modules.update({"amqp": client, "amqp.exceptions": exceptions, "amqp.protocol": protocol})
"""

PROGRAM = """
import kombu
from kombu.transport import pyamqp

assert pyamqp.Connection.__mro__[1] is client.Connection
with kombu.Connection(sys.argv[1], transport_options={"confirm_publish": True}) as connection:
    with connection.SimpleQueue("orders") as queue:
        queue.put({"number": 1})
        message = queue.get(timeout=5)
        assert message.payload == {"number": 1}
        message.ack()
    try:
        kombu.Queue("missing", channel=connection).queue_declare(passive=True)
    except connection.channel_errors as error:
        print(type(error).__module__, error.reply_code)
"""


def test_kombus_own_transport_runs_on_this_client() -> None:
    with Broker() as broker:
        url = broker.url.replace("amqp://", "pyamqp://")
        command = [sys.executable, "-W", "error", "-W", "ignore:Connection ignores", "-c", ALIAS + PROGRAM, url]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        assert (done.returncode, done.stdout) == (0, "hutch.client.exceptions 404\n"), done.stderr
        assert broker.history.of("acked")
