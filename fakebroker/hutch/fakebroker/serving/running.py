"""Serving: listeners in one event loop, signals, and the end."""

import asyncio
import errno
import gc
import json
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit, urlunsplit

from hutch.fakebroker.server.ports import bind
from hutch.fakebroker.server.protocol import Listener
from hutch.fakebroker.server.tls import LOGIN_FROM, Tls, server_context
from hutch.fakebroker.serving.applying import import_files, make_broker
from hutch.fakebroker.serving.certificate import make_certificate
from hutch.fakebroker.serving.memory import watch_memory
from hutch.fakebroker.serving.refusals import Refusals
from hutch.fakebroker.serving.settings import Place, ServeSettings, WrongSetting

if TYPE_CHECKING:
    from hutch.fakebroker.broker import Broker
    from hutch.fakebroker.management.listener import ManagementListener

_log = logging.getLogger("hutch.fakebroker")

#: The threshold of full garbage collections: so many collections of the generation before, each after 7,000 new
#: objects.
_FULL_COLLECTION: Final = 1000
#: How often Windows looks for Ctrl-C, seconds: there no signal ends a wait of the event loop.
_LOOK: Final = 0.2


def load_tls(settings: ServeSettings) -> Tls | None:
    """What listeners need for TLS, if any does.

    Raises:
        WrongSetting: the files cannot be used.
    """
    files = settings.tls
    if not settings.tls_places:
        return None
    if files.made_in is not None:
        made = make_certificate(files.made_in, (place.host for place in settings.tls_places))
        certificate, key = made.certificate, made.key
    else:
        certificate, key = files.certificate, files.key
    assert certificate is not None, "settings with places for TLS have a certificate"
    if files.login_from not in LOGIN_FROM:
        raise WrongSetting(f"ssl_cert_login_from is {' or '.join(LOGIN_FROM)}, not {files.login_from!r}")
    try:
        context = server_context(certificate, key, files.authorities if files.verify else None)
    except OSError as error:
        raise WrongSetting(f"no TLS with {error.strerror}") from None
    if files.required and files.verify and files.authorities is not None:
        context.verify_mode = context.verify_mode.CERT_REQUIRED
    return Tls(context, files.login_from)


async def serve(settings: ServeSettings, ready_file: Path | None) -> None:
    """Serve until a signal.

    Raises:
        WrongSetting: something is wrong, or a port cannot be had.
    """
    # A full collection takes 0.2 s once a million messages wait. So they come rarely: most garbage has no cycles.
    gc.set_threshold(*gc.get_threshold()[:2], _FULL_COLLECTION)
    stopping = asyncio.Event()
    tls = load_tls(settings)
    with make_broker(settings) as broker, _signals(stopping.set, lambda: _reload(broker, settings)):
        refusals = Refusals(broker.hub.node)
        broker.hub.node.listen(refusals)
        listeners: list[Listener] = []
        management: list[ManagementListener] = []
        tasks: list[asyncio.Task[None]] = []
        try:
            for place, its_tls in (
                *((place, None) for place in settings.places),
                *((place, tls) for place in settings.tls_places),
            ):
                listener = Listener(broker.hub, its_tls)
                _listen(listener, place)
                listeners.append(listener)
            if settings.management is not None:
                management.append(_management(broker, listeners, refusals))
                _listen(management[0], settings.management)
            if settings.memory_limit is not None:
                tasks.append(asyncio.create_task(watch_memory(broker, settings.memory_limit)))
            urls = [*(_without_secret(listener.url) for listener in listeners), *(each.url for each in management)]
            with _announced(ready_file, settings.profile, urls):
                print(f"hutch serves as RabbitMQ {settings.profile} on {' and '.join(urls)} (Ctrl-C stops)", flush=True)
                await _until(stopping)
            print("hutch stops", flush=True)
        finally:
            for task in tasks:
                task.cancel()
            for api in management:
                await api.stop()
            for listener in listeners:
                await listener.stop()


def _management(broker: "Broker", listeners: list[Listener], refusals: Refusals) -> "ManagementListener":
    try:
        from hutch.fakebroker.management.listener import ManagementListener  # noqa: PLC0415  (needs the extra)
    except ImportError as error:
        raise WrongSetting(f"the management API needs the extra hutch[management]: {error}") from None

    async def drain_clients() -> None:
        for listener in listeners:
            await listener.drain_clients()

    return ManagementListener(broker, drain_clients, refusals.refused_over_http)


def _listen(listener: "Listener | ManagementListener", place: Place) -> None:
    host, port = place.host, place.port
    try:
        listener.start(bind(host, port), host)
    except OSError as error:
        number = error.errno or 0  # a failed name look-up has negative numbers
        reason = os.strerror(number) if number > 0 else error.strerror
        if number == errno.EADDRINUSE:
            reason = f"{reason}; another broker may run there, {place.option} takes another port (0 a free one)"
        raise WrongSetting(f"cannot listen on {host}:{port}: {reason}") from None
    except UnicodeError:
        raise WrongSetting(f"cannot listen on {host}:{port}: that is no host name") from None
    if not _is_local(host):
        _log.warning("listens on %s: every host that reaches this machine may connect", host or "all addresses")


def _is_local(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _without_secret(url: str) -> str:
    """A URL for everybody to read: guest's password is no secret."""
    parts = urlsplit(url)
    if (parts.username, parts.password) == ("guest", "guest"):
        return url
    name, _, place = parts.netloc.rpartition("@")
    name = name.partition(":")[0]
    return urlunsplit(parts._replace(netloc=f"{name}@{place}" if name else place))


@contextmanager
def _announced(file: Path | None, profile: str, urls: list[str]) -> Iterator[None]:
    """Have the file there, whole from the first moment on."""
    if file is None:
        yield
        return
    text = json.dumps({"pid": os.getpid(), "profile": profile, "urls": urls})
    beginning = file.with_name(f"{file.name}.{os.getpid()}")
    try:
        beginning.write_text(f"{text}\n", encoding="utf-8")
        beginning.replace(file)
    except OSError as error:
        raise WrongSetting(f"{file}: {error.strerror}") from None
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


def _reload(broker: "Broker", settings: ServeSettings) -> None:
    try:
        import_files(broker, settings.definitions)
    except WrongSetting as wrong:
        _log.error("definitions are not imported: %s", wrong)
    else:
        _log.info("definitions are imported: %s", ", ".join(map(str, settings.definitions)) or "there are none")


# signals


@contextmanager
def _signals(stop: Callable[[], None], reload: Callable[[], None]) -> Iterator[None]:
    """Have SIGINT and SIGTERM stop, and SIGHUP reload, where there are such signals."""
    loop = asyncio.get_running_loop()
    wanted = dict.fromkeys(("SIGINT", "SIGTERM", "SIGBREAK"), stop) | {"SIGHUP": reload}
    there = {getattr(signal, name): action for name, action in wanted.items() if hasattr(signal, name)}
    before = {}
    for number, action in there.items():
        try:
            loop.add_signal_handler(number, action)
        except (NotImplementedError, RuntimeError):  # Windows; or the loop does not run in the main thread
            with suppress(ValueError):
                before[number] = signal.signal(number, lambda *_, action=action: loop.call_soon_threadsafe(action))
    try:
        yield
    finally:
        for number in there:
            if number in before:
                signal.signal(number, before[number])
            else:
                with suppress(NotImplementedError, RuntimeError):
                    loop.remove_signal_handler(number)


async def _until(stopping: asyncio.Event) -> None:
    while sys.platform == "win32" and not stopping.is_set():
        await asyncio.sleep(_LOOK)
    await stopping.wait()
