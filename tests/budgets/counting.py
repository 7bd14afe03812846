"""Counts the function calls of a script, Python's and C's, by the function of hutch that makes them.

The total is cProfile's. ``sys.setprofile`` is used instead because it shows the stack at each call: a call that happens
inside a library counts for the function of hutch that uses the library. Neither hears of calls of C types, such as
``str(x)``, and of work without calls.
"""

import gc
import platform
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final, NamedTuple

from hutch.fakebroker.amqp091 import session

from . import scripts
from .scripts import Script

PYTHON: Final = (3, 11)
#: The first run fills caches. It may evict entries of other tests from a bounded cache, so there is a second run.
_WARM_UPS: Final = 2


class Call(NamedTuple):
    """One function calls another.

    Attributes:
        module: the module of the caller.
        caller: the qualified name of the caller.
        callee: the qualified name of what it calls, directly or through a library. A Python function of another module
            has its module in front.
    """

    module: str
    caller: str
    callee: str


Calls = Counter[Call]


def obstacle() -> str | None:
    """Why calls cannot be counted here and now, or None."""
    if sys.implementation.name != "cpython" or sys.version_info[:2] != PYTHON:
        here = f"{platform.python_implementation()} {platform.python_version()}"
        return (
            f"call budgets hold on CPython {PYTHON[0]}.{PYTHON[1]}, not on {here}: call counts differ between versions"
        )
    if not str(session.__file__).endswith(".py"):
        return "call budgets hold for interpreted modules, not for compiled ones"
    if sys.getprofile() is not None or sys.gettrace() is not None:
        return "call budgets need sys.setprofile, but a profiler, a debugger or coverage is active"
    return None


def count(script: Script) -> Calls:
    """Run a script until its caches are filled, then once more, and count the calls of the last run."""
    with script() as run:
        for _ in range(_WARM_UPS):
            run()
        return _count(run)


def _count(run: Callable[[], object]) -> Calls:
    calls: Calls = Counter()

    def note(frame: FrameType, event: str, argument: Any) -> None:
        if event == "call":
            made_by, callee = frame.f_back, frame
        elif event == "c_call":
            made_by, callee = frame, argument
        else:
            return
        while made_by is not None and made_by.f_code is not _count.__code__:
            module = made_by.f_globals.get("__name__", "")
            if module.startswith("hutch.") or module == scripts.__name__:
                calls[Call(module, made_by.f_code.co_qualname, _name(callee, module))] += 1
                return
            made_by = made_by.f_back

    with no_garbage_collection():
        sys.setprofile(note)
        try:
            run()
        finally:
            sys.setprofile(None)
    return calls


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    """Keep the collector off: it calls finalizers of other tests' objects, and the callbacks that libraries set."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def _name(callee: Any, caller_module: str) -> str:
    """The name of a Python function, by its frame, or of a C function."""
    if not isinstance(callee, FrameType):
        name: str = callee.__qualname__
        return name
    module = callee.f_globals.get("__name__")  # generated code may have none
    name = callee.f_code.co_qualname
    return name if module in {None, caller_module} else f"{module}.{name}"
