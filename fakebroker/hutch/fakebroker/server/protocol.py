"""asyncio around the session: one protocol object a client, one listener a broker."""

import asyncio
import logging
import selectors
import socket
import ssl
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from hutch.fakebroker.amqp091.session import Session
from hutch.fakebroker.engine.clock import Timer
from hutch.fakebroker.engine.peer import Peer, print_address
from hutch.fakebroker.realtime import monotonic
from hutch.fakebroker.server.accepting import PortListener, print_host
from hutch.fakebroker.server.ports import Address, Port
from hutch.fakebroker.server.stall import SEND_TIMEOUT, Stall, reset_on_close
from hutch.fakebroker.server.tls import HANDSHAKE_TIMEOUT, NOT_TLS, Encryption, Tls
from hutch.fakebroker.server.wake_up import WakeUp

if TYPE_CHECKING:
    from hutch.fakebroker.hub import Hub

_log = logging.getLogger("hutch.fakebroker")

#: How often the loop reads up to 256 KiB of each client, until it has everything that was sent before: enough for 16
#: MiB, which is more than sockets hold. A limit is needed because clients may go on sending.
_ROUNDS: Final = 64

#: How often the loop then sends 200 messages of each queue: enough for 50,000, which is more than sockets hold. A limit
#: is needed because clients may go on publishing.
_SENDINGS: Final = 256

#: A selector that needs no descriptor of its own, because none may be left.
_Selector: Final[type[selectors.BaseSelector]] = getattr(selectors, "PollSelector", selectors.SelectSelector)

_EVERYWHERE: Final = frozenset({"", "0.0.0.0", "::"})


class Client(asyncio.Protocol):
    """One TCP client of a listener; ``address`` is its own."""

    def __init__(self, listener: "Listener", address: Address) -> None:
        self._listener = listener
        self._address = address
        self._hub = listener.hub
        self._flush_is_due = False
        #: Whether the socket is left unread: because of an alarm (CONN-BLOCK-04), or until the input in hand is done.
        self.paused = False
        #: Whether input is left to do, in the next turn of the loop.
        self.behind = False
        #: While the client does not read, output stays in the session.
        self._stall: Final = Stall(self._hub.peer_timers, self._give_up)
        self._is_lost = False
        #: The input of a client that a fault leaves waiting; ``None`` for other clients.
        self._unheard: bytes | None = None
        self._encryption: Encryption | None = None
        self._handshake_timer: Timer | None = None
        self.peer = Peer("")
        self.transport: asyncio.Transport
        #: ``None`` before the TLS handshake is done.
        self.session: Session | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin a session, or a TLS handshake."""
        if not isinstance(transport, asyncio.Transport):
            raise TypeError(f"a stream transport is needed, not {transport!r}")
        self.transport = transport
        transport.set_write_buffer_limits(0)
        try:
            self._welcome(transport)
        except BaseException:  # asyncio logs the error, and leaves the client waiting
            transport.abort()
            raise

    def _welcome(self, transport: asyncio.Transport) -> None:
        sock = transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.peer = _peer(self._address, transport.get_extra_info("sockname"))
        self._listener.clients[self] = None
        _log.info("%s: accepted", self.peer.name)
        with self._hub.turn:
            self._hub.peers += 1
            verdict = "" if self._hub.arrival is None else self._hub.arrival(self._hear_soon)
            if self._hub.stopped or verdict == "RST":
                self._listener.call_soon(self._reset)
            elif verdict:
                if verdict == "FIN":
                    self._listener.call_soon(transport.write_eof)
                self._unheard = b""
            else:
                self._let_in()

    def _let_in(self) -> None:
        # In a turn.
        if self._listener.tls is None:
            self._begin(None)
        else:
            self._encryption = Encryption(self._listener.tls)
            self._handshake_timer = self._hub.peer_timers.set_for_client(
                HANDSHAKE_TIMEOUT, lambda: self._listener.call_soon(self._reset)
            )

    def _hear_soon(self) -> None:
        self._listener.call_soon(self._hear)

    def _hear(self) -> None:
        """Let in a client that was left waiting."""
        data, self._unheard = self._unheard, None
        if data is not None and not self._is_lost:
            with self._hub.turn:
                self._let_in()
            self.data_received(data)

    def _begin(self, identity: str | None) -> Session:
        self.session = self._hub.new_session(
            self._hub.node,
            self._hub.profile,
            self.peer,
            self._flush_soon,
            self._hub.peer_timers,
            identity,
            monotonic,
        )
        return self.session

    def data_received(self, data: bytes) -> None:
        """Have the session do what the client asks for."""
        self._listener.progress += 1
        if self._unheard is not None:
            self._unheard += data
            return
        encryption = self._encryption
        if encryption is not None:
            try:
                data = encryption.decrypt(data)
            except ssl.SSLError as error:
                _log.info("%s: TLS failed: %s", self.peer.name, error.reason or error)
                self.transport.write(encryption.take() or NOT_TLS)  # tells the client why
                self.transport.close()
                return
            self.transport.write(encryption.take())
            if not encryption.established:
                return
        with self._hub.turn:
            session = self.session
            if session is None and encryption is not None:
                self._end_handshake()
                self.peer = replace(self.peer, tls=encryption.details)
                session = self._begin(encryption.identity)
            if session is not None and data:
                self._flush_is_due = True  # flushed below, which saves a turn of the loop
                session.receive(data)
        if encryption is not None and encryption.ended:
            self.transport.close()
        self._flush()

    def _proceed(self) -> None:
        """Do another slice of what was read."""
        self._listener.progress += 1
        self.behind = False
        with self._hub.turn:
            session = self.session
            if session is not None:
                session.proceed()
        self._flush()
        if self._is_lost and not self.behind:
            self.forget()

    def _end_handshake(self) -> None:
        # In a turn.
        if self._handshake_timer is not None:
            self._hub.peer_timers.cancel(self._handshake_timer)
            self._handshake_timer = None

    def eof_received(self) -> bool:
        """A client that stops sending is gone (CONN-CLOSE-06)."""
        return False

    def connection_lost(self, _error: Exception | None) -> None:
        """End the session, once all is done that was read."""
        self._is_lost = True
        if not self.behind:
            self.forget()

    @property
    def is_sending(self) -> bool:
        """Whether there is something to send, which goes on in the next turn of the loop."""
        return self._flush_is_due and not self._stall.is_there

    def pause_writing(self) -> None:
        """The stream takes no more: the client does not read."""
        with self._hub.turn:
            self._stall.begin()

    def resume_writing(self) -> None:
        """The stream has taken what it was given."""
        with self._hub.turn:
            self._stall.end()
        self._flush()

    def _give_up(self) -> None:
        # Called in a turn.
        if self.session is not None and not self.session.dropped:
            self.session.note(f"the client does not read: nothing could be sent to it for {SEND_TIMEOUT:g} seconds")
            self.session.drop()
        self._listener.call_soon(self._abort)

    def forget(self) -> None:
        """End the session of a client that is gone."""
        self._listener.forget(self)
        with self._hub.turn:
            self._hub.peers -= 1
            self._end_handshake()
            self._stall.end()
            if self.session is not None:
                self.session.lost()
        refusal = f": {self.session.refusal}" if self.session and self.session.refusal else ""
        _log.info("%s: closed%s", self.peer.name, refusal)

    def shut_down(self) -> None:
        """Tell the client that the broker is stopped; in a turn."""
        if self.session is not None:
            self.session.shut_down()
        else:
            self.transport.abort()

    def end_consumers(self) -> None:
        """End its consumers, because its connection is about to end; in a turn."""
        if self.session is not None and self.session.connection is not None:
            self.session.connection.end_consumers()

    def cut(self) -> None:
        """Tell the client that the broker is stopped, and end the stream; in a turn."""
        if self.session is not None:
            self.session.cut()
        else:
            self._listener.call_soon(self._reset)

    def _flush_soon(self) -> None:
        # Called by the thread that made the session write.
        if not self._flush_is_due:
            self._flush_is_due = True
            self._listener.call_soon(self._flush)

    def _flush(self) -> None:
        session, encryption = self.session, self._encryption
        if session is None:
            return
        # In this order: anything that comes after these checks is for the next flush.
        self._flush_is_due = False
        dropped = session.dropped
        data = b"" if self._stall.is_there else self._hub.take(session)
        dropped = dropped and not session.has_output
        blocked, more = session.reader.blocked, session.reader.more
        if more and not self.behind:
            self.behind = True
            self._listener.call_soon(self._proceed)
        if self.transport.is_closing():
            return
        self._pause(blocked or more)
        ends_by = session.ends_by or ("RST" if encryption is None else "FIN")
        if encryption is not None:
            if data:
                encryption.encrypt(data)
            if dropped and ends_by == "FIN":
                encryption.end()
            data = encryption.take()
        self._write(data)
        if dropped and session.ends_by == "FIN":
            self.transport.write_eof()  # closing with unread input would send a RST
        elif dropped and ends_by == "FIN":
            self.transport.close()
        elif dropped:
            self._reset()

    def _write(self, data: bytes) -> None:
        if data:
            self.transport.write(data)
        if self.session is not None and self.session.has_output and not self._stall.is_there:
            self._flush_soon()

    def _pause(self, paused: bool) -> None:
        """Leave the socket unread, or read it again."""
        if paused and not self.paused:
            self.transport.pause_reading()
        elif self.paused and not paused:
            self.transport.resume_reading()
        self.paused = paused

    def _reset(self) -> None:
        """End the stream by RST, once what was sent is out (CONN-HDR-14)."""
        reset_on_close(self.transport)
        self.transport.close()

    def _abort(self) -> None:
        """End the stream by RST, and what was not sent never is."""
        reset_on_close(self.transport)
        self.transport.abort()


def _peer(client: Address | None, server: Address | None) -> Peer:
    """The client, its connection named as RabbitMQ does: client address, arrow, server address (HTTP-36)."""
    name = " -> ".join(f"{end[0]}:{end[1]}" if end else "?" for end in (client, server))
    if not client or not server:
        return Peer(name, local=False)
    host, peer_host = (print_address(_ip(end)) for end in (server, client))
    return Peer(name, host, server[1], peer_host, client[1], is_loopback(server))


def _ip(address: Address) -> IPv4Address | IPv6Address:
    return ip_address(address[0].partition("%")[0])


def is_loopback(address: Address | None) -> bool:
    """Whether that is an address that none but this machine's clients reach, as RabbitMQ looks at the broker's end of a
    connection (CONN-AUTH-14). One that is not known is none.
    """
    if not address:
        return False
    ip = _ip(address)
    return ip.is_loopback or (isinstance(ip, IPv6Address) and ip.ipv4_mapped is not None and ip.ipv4_mapped.is_loopback)


class Listener(PortListener[Client]):
    """A TCP listener of a broker, with TLS if ``tls`` is given; to be used within a running event loop."""

    def __init__(self, hub: "Hub", tls: Tls | None = None) -> None:
        super().__init__(hub, lambda address: Client(self, address))
        self.tls: Final = tls
        self._wake_up: Final = WakeUp(hub, self._loop, self.call_soon)

    def start(self, ports: list[Port], host: str) -> None:
        """Accept the clients of these ports, which are the ``host``'s, unless the broker is stopped. ``url`` is set."""
        self._open(ports, "amqp" if self.tls is None else "amqp/ssl")
        if self.hub.stopped or self.hub.refusing:
            self.refuse()
        address, number = ports[0].address[:2]
        # With TLS, the URL needs the name in the certificate.
        reached_by = address if self.tls is None or host in _EVERYWHERE else host
        user, password, vhost = self.hub.first_login
        path = "" if vhost == "/" else quote(vhost, safe="")
        scheme = "amqp" if self.tls is None else "amqps"
        self.url = (
            f"{scheme}://{quote(user, safe='')}:{quote(password, safe='')}@{print_host(reached_by)}:{number}/{path}"
        )
        self._wake_up.begin()

    async def drain_clients(self) -> None:
        """Return once all that clients have sent by now is read, and done, and sent to those who read."""
        await self._read_all()
        for _ in range(_SENDINGS):
            if not any(client.is_sending for client in self.clients):
                return
            self.progress += 1
            await asyncio.sleep(0)

    async def _read_all(self) -> None:
        await asyncio.sleep(0)
        behind = list(self.clients)
        for _ in range(_ROUNDS):
            self.progress += 1
            while any(client.behind for client in behind):
                await asyncio.sleep(0)
            # A client without input is done. Anything that comes from it later was sent later.
            behind = self._unread(behind)
            if not behind:
                return
            await asyncio.sleep(0)

    def _unread(self, clients: Iterable[Client]) -> list[Client]:
        with _Selector() as selector:
            for client in clients:
                if not client.transport.is_closing() and not client.paused:
                    selector.register(client.transport.get_extra_info("socket"), selectors.EVENT_READ, client)
            return [key.data for key, _ in selector.select(0)] if selector.get_map() else []

    @property
    def sessions(self) -> list[Session]:
        """The sessions of its clients; in a turn, of any thread."""
        return [client.session for client in list(self.clients) if client.session is not None]

    def cut_clients(self) -> None:
        """End the connections of all clients that there are; in a turn, of any thread."""
        clients = list(self.clients)
        for client in clients:  # messages of one client must not go to another that ends as well
            client.end_consumers()
        for client in clients:
            client.cut()

    async def stop(self, grace: float = 1.0) -> None:
        """Accept no more, close the clients with 320, and give them ``grace`` seconds to take that in."""
        deadline = self._loop.time() + grace
        await self._close_ports(deadline)
        with self.hub.turn:
            for client in list(self.clients):
                client.shut_down()
        if self.clients:
            self._idle.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._idle.wait(), max(deadline - self._loop.time(), 0))
        for client in list(self.clients):
            client.transport.abort()
        self._wake_up.end()
        self._leave()
        await asyncio.sleep(0)

    def abandon(self) -> None:
        """End what :meth:`stop` ends, without the event loop, which has failed."""
        self._wake_up.end()
        self._accepting.close_ports()
        self._leave()
        clients = list(self.clients)
        for client in clients:
            with suppress(OSError):
                client.transport.get_extra_info("socket").shutdown(socket.SHUT_RDWR)
        for client in clients:
            client.forget()
