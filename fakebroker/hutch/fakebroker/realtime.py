"""The real time, even if a test has replaced it: a wait must end although freezegun has stopped all clocks."""

from collections.abc import Callable
from importlib.util import find_spec, module_from_spec
from types import ModuleType
from typing import Final


def _untouched() -> ModuleType:
    # Tests replace functions of the module ``time``, perhaps before this module is imported. A copy of the module keeps
    # the real ones.
    spec = find_spec("time")
    if spec is None or spec.loader is None:
        raise ImportError("Python has no module time")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_time: Final = _untouched()
#: ``time.monotonic`` and ``time.sleep`` as Python made them.
monotonic: Final[Callable[[], float]] = _time.monotonic
sleep: Final[Callable[[float], None]] = _time.sleep
