"""TLS to a broker: :class:`hutch.wire.transport.Transport` around :class:`TcpTransport`.

What is encrypted passes through two buffers in memory between the TLS machine (:class:`ssl.SSLObject`) and the TCP
transport, which waits. So reading and writing may be in different threads, and no timeout is left on the socket. Three
locks, always taken in this order: ``_sending`` while ciphertext goes out, or ``_receiving`` while it comes in, and
inside of either ``_machine``, which is never held while anything waits.
"""

import socket
import ssl
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from hutch.client.transports.tcp import TcpTransport
from hutch.client.transports.tls_settings import client_context
from hutch.wire.transport import Transport

_ENCRYPTED_AT_ONCE: Final = 262144  # bytes: large enough for few system calls, small enough to use little memory
_RECORD: Final = 16384  # bytes that TLS encrypts together, at most
_RECORDS_AT_ONCE: Final = 4
_FAREWELL: Final = 0.1  # seconds for what TLS itself has to say, where the socket is full


class TlsTransport(Transport):
    """An encrypted connection to ``host`` (a name or an address without brackets) at ``port``.

    ``settings`` are what the ``ssl`` of :class:`hutch.client.Connection` is; ``socket_settings`` as of
    :class:`TcpTransport`. By default the server has to have a certificate for ``host`` from an authority that the
    system trusts.

    Raises:
        TypeError: ``settings`` cannot be understood.
        OSError: a file that they name cannot be loaded.
    """

    poll_interval: Final = TcpTransport.poll_interval

    def __init__(
        self, host: str, port: int, settings: object = True, socket_settings: Mapping[int, int | bytes] | None = None
    ) -> None:
        self.host = host
        self.port = port
        self._context, self._server_hostname = client_context(settings, host)
        self._tcp = TcpTransport(host, port, socket_settings)
        self._sending = threading.Lock()
        self._receiving = threading.Lock()
        self._machine = threading.Lock()
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        # Bytes that were read ahead, b"" for the end of the stream, and the error that ended it.
        self._found: bytes | None = None
        self._failure: OSError | None = None
        # Whether ciphertext was lost on its way out, so that the peer can read no more.
        self._torn = False
        #: The TLS machine, with the peer's certificate, version and cipher; ``None`` while not connected.
        self.ssl_object: ssl.SSLObject | None = None

    def __repr__(self) -> str:
        return f"<TlsTransport {self.host}:{self.port}{'' if self.ssl_object else ' (closed)'}>"

    @property
    def sock(self) -> socket.socket | None:
        """The socket that the ciphertext passes through, or ``None`` while not connected."""
        return self._tcp.sock

    # connecting

    def connect(self, deadline: float | None) -> None:
        """Connect and shake hands, both before ``deadline``.

        Raises:
            ssl.SSLCertVerificationError: the server's certificate is not accepted.
            ssl.SSLError: no TLS with this server; both errors are OSErrors.
            OSError: the server cannot be reached, or ended the connection; TimeoutError if it did not answer in time.
        """
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._found, self._failure, self._torn = None, None, False
        self._tcp.connect(deadline)
        try:
            self.ssl_object = machine = self._context.wrap_bio(
                self._incoming, self._outgoing, server_hostname=self._server_hostname
            )
            self._shake_hands(machine, deadline)
        except BaseException as error:
            self.ssl_object = None
            self._tcp.close()
            if isinstance(error, OSError):
                self._explain(error)
            raise

    def _shake_hands(self, machine: ssl.SSLObject, deadline: float | None) -> None:
        first = b""
        while True:
            try:
                machine.do_handshake()
            except ssl.SSLWantReadError:
                done = False
            except ssl.SSLError:
                with suppress(OSError):  # the alert that tells the server why
                    self._tcp.send(self._outgoing.read(), time.monotonic() + _FAREWELL)
                if first.startswith(b"AMQP"):
                    raise ssl.SSLError(ssl.SSL_ERROR_SSL, "the server speaks AMQP there, without TLS") from None
                raise
            else:
                done = True
            try:
                if self._outgoing.pending:
                    self._tcp.send(self._outgoing.read(), deadline)
                if done:
                    return
                data = self._tcp.receive(deadline)
            except TimeoutError:
                raise TimeoutError("the handshake was not done in time") from None
            if not data:
                raise ConnectionResetError("the server ended the connection amid the handshake")
            first = first or data
            self._incoming.write(data)

    def _explain(self, error: OSError) -> None:
        """Add to an error the host that TLS failed with, and why."""
        reason = error.strerror or str(error)
        if isinstance(error, ssl.SSLCertVerificationError):
            reason = f"the server's certificate is not accepted: {error.verify_message}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        text = f"TLS with {host}:{self.port} failed: {reason}"
        if error.errno is None:
            error.args = (text,)
        else:
            error.strerror = text

    # sending

    def send(self, data: bytes, deadline: float | None = None) -> None:
        """Encrypt and send all of ``data``; calls from several threads do not mix."""
        if not self._acquire(self._sending, deadline):
            raise TimeoutError("timed out while another thread was sending")
        try:
            if deadline is not None and time.monotonic() >= deadline:
                raise TimeoutError("timed out before anything was sent")
            view = memoryview(data)
            for start in range(0, len(view), _ENCRYPTED_AT_ONCE):
                with self._machine:
                    self._connected().write(view[start : start + _ENCRYPTED_AT_ONCE])
                    ciphertext = self._outgoing.read()
                self._pass_on(ciphertext, deadline)
        except TimeoutError:
            raise
        except OSError:
            # An alert may have come before the stream broke; it tells more.
            self.readable()
            if isinstance(self._failure, ssl.SSLError):
                raise self._failure from None
            raise
        finally:
            self._sending.release()
        self._answer()

    def _pass_on(self, ciphertext: bytes, deadline: float | None) -> None:
        if self._torn:
            raise ConnectionAbortedError("an earlier send was cut off, and the peer can decrypt no more")
        try:
            self._tcp.send(ciphertext, deadline)
        except BaseException:
            self._torn = True
            raise

    def _answer(self) -> None:
        """Send what TLS itself has to say, unless another thread is sending, which then does this behind it."""
        while self._outgoing.pending and self._sending.acquire(blocking=False):
            try:
                with self._machine:
                    ciphertext = self._outgoing.read()
                if ciphertext:
                    self._pass_on(ciphertext, time.monotonic() + _FAREWELL)
            except OSError:
                return  # the next call that sends or receives raises the error
            finally:
                self._sending.release()

    # receiving

    def receive(self, deadline: float | None = None) -> bytes:
        """What has arrived, 64 KiB at most; ``b""`` at the end of the stream, announced or not."""
        if not self._acquire(self._receiving, deadline):
            raise TimeoutError("timed out while another thread was receiving")
        try:
            found, self._found = self._found, None
            if found is None:
                found = self._pull(deadline)
            if not found:
                self._found = found  # the end stays the end
            return found
        finally:
            self._receiving.release()

    def readable(self) -> bool:
        """Whether :meth:`receive` would return, or fail, at once; ``False`` while another thread is receiving.

        Not all that arrives holds something for the application. So this decrypts, and keeps what it finds.
        """
        if self.ssl_object is None or not self._receiving.acquire(blocking=False):
            return False
        try:
            if self._found is None:
                self._found = self._pull(time.monotonic())
        except TimeoutError:
            return False
        except OSError:
            return True  # the next call that receives will find it so
        finally:
            self._receiving.release()
        return True

    @property
    def holds_unread(self) -> bool:
        """Whether something was read from the socket that has not been received, if only half a record or the end."""
        with self._machine:
            machine = self.ssl_object
            if machine is None:
                return False
            noticed = self._found is not None or self._failure is not None
            return noticed or bool(self._incoming.pending or machine.pending())

    def _pull(self, deadline: float | None) -> bytes:
        """Plaintext, waiting for as much ciphertext as that takes; ``b""`` at the end."""
        while True:
            if self._failure is not None:
                raise self._failure
            with self._machine:
                data = self._decrypt(self._connected())
            self._answer()
            if data is not None:
                return data
            try:
                ciphertext = self._tcp.receive(deadline)
            except TimeoutError:
                raise
            except OSError as error:
                self._failure = error
                raise
            with self._machine:
                if ciphertext:
                    self._incoming.write(ciphertext)
                else:
                    self._incoming.write_eof()

    def _decrypt(self, machine: ssl.SSLObject) -> bytes | None:
        """The plaintext at hand; ``None`` if there is none, ``b""`` at the end."""
        pieces: list[bytes] = []
        try:
            while len(pieces) < _RECORDS_AT_ONCE and (piece := machine.read(_RECORD)):
                pieces.append(piece)
        except ssl.SSLWantReadError:
            if not pieces:
                return None
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            pass  # RabbitMQ may end the stream without the word that TLS has for it; AMQP has its own
        except ssl.SSLError as error:
            self._explain(error)
            self._failure = error
            if not pieces:
                raise
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    # the rest

    @staticmethod
    def _acquire(lock: threading.Lock, deadline: float | None) -> bool:
        return lock.acquire(timeout=-1 if deadline is None else max(0.0, deadline - time.monotonic()))

    def _connected(self) -> ssl.SSLObject:
        if self.ssl_object is None:
            raise ConnectionAbortedError(f"not connected to {self.host}:{self.port}")
        return self.ssl_object

    def close(self) -> None:
        """Tell the peer of the end, wait for no answer, and close the socket; closing again does nothing.

        In a process forked since, nothing is told: see :meth:`TcpTransport.close`.
        """
        with self._machine:
            machine, self.ssl_object = self.ssl_object, None
            if not self._tcp.is_own_process:
                machine = None
            if machine is not None:
                with suppress(ssl.SSLError):  # it wants to read the peer's word for the end
                    machine.unwrap()
        if machine is not None:
            self._answer()
        self._tcp.close()

    def fileno(self) -> int | None:
        """The socket's, or ``None`` while not connected."""
        return self._tcp.fileno()

    def monotonic(self) -> float:
        """:func:`time.monotonic`, which deadlines are read on."""
        return time.monotonic()
