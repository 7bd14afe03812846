"""What marks an interface that compiled code calls, and that classes which are not compiled may implement.

mypyc reads :func:`mypyc_attr` when it compiles, from mypy_extensions; at run time it says nothing, and that package
need not be installed. A call of such an interface takes a few nanoseconds in compiled code, and one of a Protocol ten
times that.

Such an interface is a plain class with abstract methods, which type checkers look for in any class. It is no ABC:
compiled ABCs share one memory of what ``isinstance`` has said, and so it would be wrong for the second one.
"""

from typing import TYPE_CHECKING

__all__ = ["mypyc_attr"]

if TYPE_CHECKING:
    from mypy_extensions import mypyc_attr
else:

    def mypyc_attr(**_):
        """Give back the class as it is."""
        return lambda cls: cls
