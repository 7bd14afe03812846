"""The pytest plugin: fixtures that give a test a broker of its own, and what to ask that broker afterwards."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hutch.pytest_plugin.fakebroker import FakeBroker

__all__ = ["FakeBroker"]


def __getattr__(name: str) -> Any:
    # pytest imports this package in every run; the broker comes when somebody wants one.
    if name == "FakeBroker":
        from hutch.pytest_plugin.fakebroker import FakeBroker  # noqa: PLC0415

        return FakeBroker
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name)
