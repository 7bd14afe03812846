"""Promises like those of vine, which py-amqp uses: a function to call later, and listeners for its result."""

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeGuard

__all__ = ["Thenable", "ensure_promise", "is_promise", "promise"]


class Thenable(Protocol):
    """What takes part as a promise: this module's, vine's, or another one."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Fulfil it."""

    def then(self, on_success: Any, on_error: Any = None) -> Any:
        """Add a listener."""

    def throw(self, exc: Any = None, tb: Any = None, propagate: bool = True) -> Any:
        """Break it."""

    def cancel(self) -> Any:
        """Have it do nothing any more."""


def is_promise(value: object) -> TypeGuard[Thenable]:
    """Whether ``value`` is a promise, not a mere function: its class has a method ``then``."""
    return hasattr(type(value), "then")


class promise:  # noqa: N801  (py-amqp's name)
    """A call that is yet to come.

    A call fulfils it: it calls ``fun`` with ``args`` and ``kwargs`` and the arguments of the call. The result goes to
    every listener. Without ``fun``, the arguments themselves do. A listener is called once. To fulfil a promise again
    calls ``fun`` again, and the listeners that were added since.

    Args:
        fun: the function.
        args: its first arguments.
        kwargs: its keyword arguments.
        callback: the first listener, as of :meth:`then`.
        on_error: called, behind ``args``, with the exception that ``fun`` raises or :meth:`throw` is given; without one
            the exception is raised.

    Attributes:
        ready: whether it is fulfilled.
        failed: whether it is broken instead.
        value: what the listeners got: a tuple and a ``dict``, or ``None``.
        reason: the exception that broke it, or ``None``.
        cancelled: whether it is cancelled.
    """

    ready = False
    failed = False
    cancelled = False
    value: tuple[tuple[Any, ...], dict[str, Any]] | None = None
    reason: BaseException | None = None

    def __init__(
        self,
        fun: Callable[..., Any] | None = None,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        callback: Any = None,
        on_error: Callable[..., Any] | None = None,
    ) -> None:
        if fun is not None and not callable(fun):
            raise TypeError(f"a promise calls a function, not {fun!r}")
        self.fun = fun
        self.args = tuple(args) if args else ()
        self.kwargs = dict(kwargs) if kwargs else {}
        self.on_error = on_error
        self._listeners: list[Thenable] = []
        if callback is not None:
            self.then(callback)

    def __repr__(self) -> str:
        state = "cancelled" if self.cancelled else "failed" if self.failed else "ready" if self.ready else "pending"
        return f"<promise, {state}{f': {self.fun!r}' if self.fun else ''}>"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Fulfil it; returns what ``fun`` returns.

        Raises:
            Exception: what ``fun`` raises, unless there is an ``on_error``; and what listeners raise.
        """
        if self.cancelled:
            return None
        args, kwargs = self.args + args, {**self.kwargs, **kwargs}
        result = None
        if self.fun is not None:
            try:
                result = self.fun(*args, **kwargs)
            except Exception as error:
                self.throw(error)
                return None
            args, kwargs = (result,), {}
        self.value, self.reason = (args, kwargs), None
        self.ready, self.failed = True, False
        for listener in self._leaving():
            listener(*args, **kwargs)
        return result

    def then(self, callback: Any, on_error: Callable[..., Any] | None = None) -> Any:
        """Have ``callback``, a function or a promise, called with the result, at once if it is there already.

        Returns it as a promise. ``on_error`` is called with the exception if this promise is broken, or a ``callback``
        that is a function raises.
        """
        listener: Thenable = callback if is_promise(callback) else promise(callback, on_error=on_error)
        if self.cancelled:
            listener.cancel()
        elif self.failed:
            _tell(listener, self.reason)
        elif self.value is not None:
            args, kwargs = self.value
            listener(*args, **kwargs)
        else:
            self._listeners.append(listener)
        return listener

    def throw(self, exc: BaseException | None = None, tb: Any = None, propagate: bool = True) -> None:
        """Break it with ``exc``, by default the exception being handled: ``on_error`` and the listeners are told.

        Raises:
            BaseException: ``exc``, with the traceback ``tb`` if there is one, where there is no ``on_error`` and
                ``propagate`` is not ``False``.
        """
        if self.cancelled:
            return
        reason = exc or sys.exc_info()[1] or RuntimeError("a promise was broken, and no reason given")
        self.ready, self.failed = False, True
        self.value, self.reason = None, reason
        if self.on_error is not None:
            self.on_error(*self.args, reason, **self.kwargs)
        for listener in self._leaving():
            _tell(listener, reason)
        if self.on_error is None and propagate:
            raise reason.with_traceback(tb) if tb is not None else reason

    def cancel(self) -> None:
        """Have it do nothing any more, nor its listeners."""
        self.cancelled = True
        for listener in self._leaving():
            listener.cancel()
        if is_promise(self.on_error):
            self.on_error.cancel()
        self.on_error = None

    def _leaving(self) -> list[Thenable]:
        leaving, self._listeners = self._listeners, []
        return leaving


def _tell(listener: Thenable, reason: BaseException | None) -> None:
    """Break a listener, whose having no ``on_error`` is no reason to raise here."""
    listener.throw(reason, propagate=False)


def ensure_promise(value: Any) -> Any:
    """``value`` as a promise: one that calls it, where it is a function; a new one for ``None``."""
    return promise() if value is None else value if is_promise(value) else promise(value)


def break_promise(value: Any, error: BaseException) -> None:
    """Tell a promise, if ``value`` is one, that it will not be fulfilled."""
    if is_promise(value):
        _tell(value, error)
