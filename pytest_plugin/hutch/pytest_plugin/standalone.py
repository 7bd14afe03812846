"""A broker for tests that do not run in pytest: a decorator, and a mix-in for unittest."""

import functools
import inspect
import unittest
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, TypeVar

from hutch.pytest_plugin.fakebroker import FakeBroker

Function = TypeVar("Function", bound=Callable[..., Any])

_PARAMETER = "fakebroker"


def with_fakebroker(**settings: Any) -> Callable[[Function], Function]:
    """Run a function, or a coroutine function, with a new :class:`FakeBroker` as its argument ``fakebroker``.

    ``settings`` are the parameters of FakeBroker::

        @with_fakebroker(profile="3.10")
        def test_orders(fakebroker): ...

    Raises:
        TypeError: the function has no parameter of that name.
    """

    def decorate(function: Function) -> Function:
        signature = inspect.signature(function)
        if _PARAMETER not in signature.parameters:
            raise TypeError(f"{function.__qualname__} has no parameter {_PARAMETER!r} to give the broker to")
        run: Any
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def run(*args: Any, **kwargs: Any) -> Any:
                with FakeBroker(**settings) as broker:
                    return await function(*args, **{**kwargs, _PARAMETER: broker})

        else:

            @functools.wraps(function)
            def run(*args: Any, **kwargs: Any) -> Any:
                with FakeBroker(**settings) as broker:
                    return function(*args, **{**kwargs, _PARAMETER: broker})

        # Test runners that look at parameters, pytest for one, must not look for this one.
        others = [parameter for name, parameter in signature.parameters.items() if name != _PARAMETER]
        run.__signature__ = signature.replace(parameters=others)
        result: Function = run
        return result

    return decorate


class FakeBrokerMixin(unittest.TestCase):
    """Gives each test of a ``unittest.TestCase`` a new broker, ``self.fakebroker``.

    As in::

        class TestOrders(FakeBrokerMixin, unittest.TestCase):
            fakebroker_settings = {"profile": "3.10"}

    ``fakebroker_settings`` are the parameters of :class:`FakeBroker`.
    """

    fakebroker_settings: ClassVar[Mapping[str, Any]] = {}
    fakebroker: FakeBroker

    def setUp(self) -> None:
        """Make the broker. It is closed behind the test's ``tearDown``."""
        super().setUp()
        self.fakebroker = self.enterContext(FakeBroker(**self.fakebroker_settings))
