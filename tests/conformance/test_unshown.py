"""The list of rows that no case shows."""

from hutch.conformance.case import all_cases
from hutch.conformance.unshown import UNSHOWN


def test_what_is_shown_is_not_listed_as_unshown() -> None:
    shown = {behaviour for case in all_cases() for behaviour in case.behaviours}
    assert not shown & UNSHOWN.keys()
    assert all(UNSHOWN.values())
