"""The real time, even if a test has replaced it: a wait must end although freezegun has stopped all clocks."""

from collections.abc import Callable
from importlib.util import find_spec, module_from_spec
from typing import Final, cast


def _monotonic() -> Callable[[], float]:
    # Tests replace the functions of the module that everybody imports, perhaps before this one is imported. A copy of
    # the module has its own.
    spec = find_spec("time")
    if spec is None or spec.loader is None:
        raise ImportError("Python has no module time")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return cast("Callable[[], float]", module.monotonic)


#: ``time.monotonic`` as Python made it.
monotonic: Final = _monotonic()
