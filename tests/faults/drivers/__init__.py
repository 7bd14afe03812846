"""Client libraries, each of which does what meets a fault."""

from tests.faults.drivers.aio_pika_driver import AioPika
from tests.faults.drivers.amqplib_driver import Amqplib
from tests.faults.drivers.driver import Driver
from tests.faults.drivers.kombu_driver import Kombu
from tests.faults.drivers.pika_driver import Pika
from tests.faults.drivers.py_amqp import Hutch, PyAmqp

DRIVERS: dict[str, type[Driver]] = {
    "hutch.client": Hutch,
    "py-amqp": PyAmqp,
    "kombu": Kombu,
    "pika": Pika,
    "aio-pika": AioPika,
    "amqplib": Amqplib,
}
