"""Celery on every broker, by way of hutch's transport; on some of them by way of py-amqp too, which does the same."""

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty
from ssl import DER_cert_to_PEM_cert, SSLContext
from threading import Event
from typing import Any, Final

import kombu.pools
import pytest
from celery import Celery
from celery.contrib.testing.worker import start_worker

from hutch.wire.url import parse_url
from tests import targets
from tests.with_celery.app import Results, create_app, gates, journal

PATIENCE = targets.PATIENCE
_LEVEL: Final = logging.root.level

#: URL schemes, as Celery must write them.
SCHEMES = {
    "hutch": {"memory": "hutch-memory", "amqp": "hutch", "amqps": "hutchs"},
    "pyamqp": {"amqp": "pyamqp", "amqps": "pyamqp"},
}


@dataclass(frozen=True)
class Stand:
    """A broker, and the transport by which Celery reaches it."""

    target: targets.Target
    transport: str
    #: The authority that signed the certificate, if the target uses TLS.
    ca_certs: Path | None = None

    @property
    def url(self) -> str:
        """For ``broker_url``."""
        scheme, _, rest = self.target.url.partition("://")
        return f"{SCHEMES[self.transport][scheme]}://{rest}"

    @property
    def settings(self) -> dict[str, Any]:
        """What else Celery must be told to reach it."""
        return {"broker_use_ssl": {"ca_certs": str(self.ca_certs)}} if self.ca_certs else {}

    @property
    def virtual_host(self) -> str:
        return parse_url(self.target.url)[0].virtual_host

    @property
    def in_process(self) -> bool:
        return self.target.url.startswith("memory:")

    def app(self, **settings: Any) -> Celery:
        return create_app(**{"broker_url": self.url, **self.settings, **settings})


#: The client's own tests cover TLS to the older live broker.
STANDS = [(target, "hutch") for target in targets.TARGETS if target != "live-3.10-tls"]
STANDS += [("tcp-4.3", "pyamqp"), ("live-4.3", "pyamqp")]
#: Marks of a transport's tests: ``pytest`` without options skips py-amqp.
EXTRA = {"hutch": [], "pyamqp": [pytest.mark.slow]}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "stand" in metafunc.fixturenames:
        parameters = [
            pytest.param((target, transport), id=f"{target}-{transport}", marks=[*parameter.marks, *EXTRA[transport]])
            for parameter in targets.chosen(metafunc.config)
            for target, transport in STANDS
            if target == parameter.values[0]
        ]
        metafunc.parametrize("stand", parameters, indirect=True, scope="package")


@pytest.fixture(scope="package")
def stand(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    name, transport = request.param
    with targets.TARGETS[name]() as target, target.cleanup:
        yield Stand(target, transport, ca_certs(target, tmp_path_factory))


def ca_certs(target: targets.Target, paths: pytest.TempPathFactory) -> Path | None:
    """A file; a worker's process cannot be given a context, nor can remote control tell of one."""
    given = target.parameters.get("ssl")
    if not isinstance(given, SSLContext):
        return given and Path(given["ca_certs"])
    path = paths.mktemp("tls") / "ca.pem"
    path.write_text("".join(map(DER_cert_to_PEM_cert, given.get_ca_certs(binary_form=True))))
    return path


@contextmanager
def closing(app: Celery) -> Iterator[Celery]:
    """An application, which tasks are of from now on; what it holds open is closed behind."""
    app.set_current()
    app.set_default()
    with ExitStack() as behind:
        behind.callback(app.close)
        # Celery applies the application's limit to all pools.
        behind.callback(kombu.pools.set_limit, kombu.pools.get_limit())
        behind.callback(kombu.pools.reset)
        behind.callback(Results.close_all)
        yield app


@contextmanager
def embedded_worker(app: Celery, **options: Any) -> Iterator[Any]:
    """A worker in a thread of this process. It is shut down by remote control, which is at once, and in peace."""
    settings = {"pool": "threads", "concurrency": 2, "perform_ping_check": False, **options}
    with start_worker(app, **settings) as worker:
        yield worker
        app.control.shutdown(destination=[worker.hostname])
        worker.blueprint.join(PATIENCE)  # otherwise start_worker would terminate the worker during its shutdown


@pytest.fixture(scope="module")
def app(request: pytest.FixtureRequest, stand: Stand) -> Iterator[Celery]:
    """An application for the tests of a module, with the settings that it has in ``SETTINGS``."""
    with closing(stand.app(**getattr(request.module, "SETTINGS", {}))) as app:
        yield app


@pytest.fixture(scope="module")
def worker(request: pytest.FixtureRequest, app: Celery) -> Iterator[Any]:
    """Its worker, with the options that the module has in ``WORKER``."""
    with embedded_worker(app, **getattr(request.module, "WORKER", {})) as worker:
        yield worker


@pytest.fixture(autouse=True)
def level_of_logs() -> Iterator[None]:
    """Celery's worker raises the level of the root logger; what other tests look for would not be logged."""
    yield
    logging.root.setLevel(_LEVEL)


@pytest.fixture(autouse=True)
def fresh_journal() -> Iterator[None]:
    """What tasks tell, and wait for, is one test's own."""
    with suppress(Empty):
        while True:
            journal.get_nowait()
    gates.clear()
    yield
    for gate in gates.values():
        gate.set()


def told() -> Any:
    """What a task told next."""
    return journal.get(timeout=PATIENCE)


def gate(name: str) -> Event:
    """What the task ``wait_for`` waits for; the end of the test opens it at the latest."""
    return gates.setdefault(name, Event())
