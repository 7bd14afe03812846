"""The pytest plugin: fixtures that give a test a broker of its own, and what to ask that broker afterwards.

Without pytest there are :class:`FakeBroker` as a context manager, :func:`with_fakebroker` and :class:`FakeBrokerMixin`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from hutch.pytest_plugin.fakebroker import FakeBroker
    from hutch.pytest_plugin.interception import intercept
    from hutch.pytest_plugin.leftovers import LeftoverWarning
    from hutch.pytest_plugin.standalone import FakeBrokerMixin, with_fakebroker
    from hutch.pytest_plugin.views import Binding

__all__ = ["Binding", "FakeBroker", "FakeBrokerMixin", "LeftoverWarning", "intercept", "with_fakebroker"]

_MODULES: Final = {
    "Binding": "views",
    "FakeBroker": "fakebroker",
    "FakeBrokerMixin": "standalone",
    "LeftoverWarning": "leftovers",
    "intercept": "interception",
    "with_fakebroker": "standalone",
}


def __getattr__(name: str) -> Any:
    # pytest imports this package in every run; the broker comes when somebody wants one.
    if name in _MODULES:
        return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name)
