"""mypyc's word for a compiled class that interpreted classes may derive from. Without mypyc it does nothing."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_extensions import mypyc_attr as mypyc_attr  # noqa: PLC0414  (it is exported)
else:

    def mypyc_attr(**_):
        """Leave the class as it is."""
        return lambda class_: class_
