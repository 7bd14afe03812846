"""A day of a developer who runs ``hutch serve`` in place of RabbitMQ. The applications and tools know nothing of hutch.

In the evening the definitions move to a live RabbitMQ, and the same applications run there.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import urlopen

import pika
import pika.exceptions
import pytest
from amqpstorm.management.api import ManagementApi

from tests.live import LiveBroker

pytestmark = pytest.mark.matrix

PATIENCE = 30.0
EXAMPLES = Path(__file__).parents[2] / "examples"
VHOST = "shop-of-a-day"
USER, PASSWORD = "shop-of-a-day", "secret"
DEFINITIONS = {
    "users": [
        {"name": "admin", "password": "admin", "tags": "administrator"},
        {"name": USER, "password": PASSWORD, "tags": ""},
    ],
    "vhosts": [{"name": "/"}, {"name": VHOST}],
    "permissions": [
        {"user": "admin", "vhost": vhost, "configure": ".*", "write": ".*", "read": ".*"} for vhost in ("/", VHOST)
    ]
    + [{"user": USER, "vhost": VHOST, "configure": ".*", "write": ".*", "read": ".*"}],
    "policies": [
        {
            "vhost": VHOST,
            "name": "retries",
            "pattern": r"^orders\.retry$",
            "apply-to": "queues",
            "definition": {"max-length": 1000},
            "priority": 0,
        }
    ],
    "queues": [{"vhost": VHOST, "name": "audit", "durable": True, "auto_delete": False, "arguments": {}}],
    "exchanges": [
        {
            "vhost": VHOST,
            "name": "shop",
            "type": "topic",
            "durable": True,
            "auto_delete": False,
            "internal": False,
            "arguments": {},
        }
    ],
    "bindings": [
        {
            "vhost": VHOST,
            "source": "shop",
            "destination": "audit",
            "destination_type": "queue",
            "routing_key": "#",
            "arguments": {},
        }
    ],
}
#: The worker module for ``celery -A``: the example's tasks, with a bank that always pays.
WORKER = """
import os

import tasks


class Paying(tasks.Bank):
    def charge(self, order, amount):
        return f"receipt {order}"


tasks.bank = Paying()
app = tasks.create_app(os.environ["BROKER_URL"])
"""
#: The order service: it places an order and handles it.
ORDERS = """
import os

from orders import Order, Shop, Worker

charged = []
with Shop(os.environ["BROKER_URL"]) as shop, Worker(os.environ["BROKER_URL"], charged.append) as worker:
    shop.place(Order(17, 5))
    worker.step()
print([order.id for order in charged])
"""
#: Another program of the shop, which starts a task and waits for it.
TASKS = """
import os

from tasks import create_app

app = create_app(os.environ["BROKER_URL"])
print(app.send_task("tasks.charge", (17, 5)).get(timeout=30))
"""


def wait_until(condition: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < deadline, what
        time.sleep(0.02)
    return found


@contextmanager
def running(*command: str, folder: Path, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """A program, ended by SIGTERM; what it says is in the file ``log``."""
    with (folder / "log").open("a") as log:
        process = subprocess.Popen(
            [sys.executable, *command], cwd=folder, env={**os.environ, **environment}, stdout=log, stderr=log, text=True
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            raise


def tool(*command: str, folder: Path, **environment: str) -> str:
    """What a command prints; it has to succeed."""
    done = subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, (command, done.stdout, done.stderr)
    return done.stdout


def hutch(*arguments: str, folder: Path) -> str:
    return tool("-c", "import sys; from hutch.fakebroker.cli import main; sys.exit(main())", *arguments, folder=folder)


def applications_work(url: str, folder: Path) -> None:
    """The order service and the Celery tasks of the examples do their work on the broker at ``url``."""
    orders = tool("-c", ORDERS, folder=folder, BROKER_URL=url, PYTHONPATH=str(EXAMPLES / "orders_pika"))
    assert orders.strip() == "[17]"
    (folder / "shop_worker.py").write_text(WORKER)
    command = ("-m", "celery", "-A", "shop_worker", "worker", "--pool", "solo", "--loglevel", "WARNING")
    environment = {"BROKER_URL": url, "PYTHONPATH": str(EXAMPLES / "tasks_celery")}
    with running(*command, folder=folder, **environment):
        assert tool("-c", TASKS, folder=folder, **environment).strip() == "receipt 17"


def api_of(management: str) -> ManagementApi:
    parts = urlsplit(management)
    return ManagementApi(
        f"http://{parts.hostname}:{parts.port}", parts.username or "admin", parts.password or "admin", timeout=PATIENCE
    )


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """``hutch serve`` with the definitions: the shop's AMQP URL, and the management API of the administrator."""
    (tmp_path / "definitions.json").write_text(json.dumps(DEFINITIONS))
    ready = tmp_path / "ready.json"
    program = "import sys; from hutch.fakebroker.cli import main; sys.exit(main())"
    options = ("--definitions", "definitions.json", "--port", "0", "--management-port", "0", "--ready-file", str(ready))
    with running("-c", program, "serve", *options, folder=tmp_path) as process:
        wait_until(lambda: ready.exists() or process.poll() is not None, "it is not ready")
        assert process.poll() is None, (tmp_path / "log").read_text()
        urls = json.loads(ready.read_text())["urls"]
        amqp = urlsplit(next(url for url in urls if url.startswith("amqp:")))
        http = urlsplit(next(url for url in urls if url.startswith("http:")))
        yield (
            f"amqp://{USER}:{PASSWORD}@{amqp.hostname}:{amqp.port}/{VHOST}",
            f"http://admin:admin@{http.hostname}:{http.port}",
        )


def test_a_day(served: tuple[str, str], tmp_path: Path) -> None:
    url, management = served
    api = api_of(management)

    # The shop's applications run unchanged.
    applications_work(url, tmp_path)
    assert {queue["name"] for queue in api.queue.list(virtual_host=VHOST)} >= {"audit", "orders", "orders.retry"}
    # The audit queue gets an order, its payment, and the mail about the payment.
    wait_until(lambda: api.queue.get("audit", virtual_host=VHOST)["messages"] == 3, "the audit queue lacks something")

    # RabbitMQ's own tool works, too.
    rabbitmqadmin = tmp_path / "rabbitmqadmin"
    live = urlsplit(LiveBroker.named("3.10").management)
    with urlopen(f"http://{live.hostname}:{live.port}/cli/rabbitmqadmin") as answer:
        rabbitmqadmin.write_bytes(answer.read())
    at = urlsplit(management)
    login = ("-H", str(at.hostname), "-P", str(at.port), "-u", "admin", "-p", "admin", "-V", VHOST)
    assert "audit" in tool(str(rabbitmqadmin), *login, "list", "queues", "name", folder=tmp_path)

    # A policy limits the audit queue at once.
    policy = ("declare", "policy", "name=audit", "pattern=^audit$", 'definition={"max-length":1}')
    tool(str(rabbitmqadmin), *login, *policy, folder=tmp_path)
    assert api.queue.get("audit", virtual_host=VHOST)["messages"] == 1

    # An operator closes a connection, and the application gets the reason.
    connection = pika.BlockingConnection(pika.URLParameters(url))
    (told,) = [each for each in api.connection.list() if each["user"] == USER]
    api.connection.close(told["name"], "closed for the night")
    with pytest.raises(pika.exceptions.ConnectionClosedByBroker, match="closed for the night") as closed:
        connection.process_data_events(PATIENCE)
    assert closed.value.reply_code == 320

    # A user without permission is refused.
    api.user.create("visitor", "secret", tags="")
    with pytest.raises(pika.exceptions.ProbableAccessDeniedError):
        pika.BlockingConnection(pika.URLParameters(url.replace(f"{USER}:{PASSWORD}", "visitor:secret")))


@pytest.mark.parametrize("version", ["3.10", "4.3"])
def test_the_definitions_move_to_a_live_broker(version: str, served: tuple[str, str], tmp_path: Path) -> None:
    url, management = served
    applications_work(url, tmp_path)
    live = LiveBroker.named(version)
    api = api_of(live.management)
    try:
        api.virtual_host.create(VHOST)
        hutch("definitions", "export", management, "--vhost", VHOST, "--output", "shop.json", folder=tmp_path)
        hutch("definitions", "import", live.management, "shop.json", "--vhost", VHOST, folder=tmp_path)
        assert hutch("definitions", "diff", management, live.management, "--vhost", VHOST, folder=tmp_path) == ""
        api.user.create(USER, PASSWORD, tags="")
        api.user.set_permission(USER, VHOST)
        at = urlsplit(live.url)
        applications_work(f"amqp://{USER}:{PASSWORD}@{at.hostname}:{at.port}/{VHOST}", tmp_path)
    finally:
        api.virtual_host.delete(VHOST)
        if any(user["name"] == USER for user in api.user.list()):
            api.user.delete(USER)
