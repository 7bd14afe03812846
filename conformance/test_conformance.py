"""The conformance suite under pytest."""

import pytest

from hutch.conformance.case import Case
from hutch.conformance.runner import Outcome, run_case
from hutch.conformance.targets import Target


def test_behaviour(case: Case, target: Target) -> None:
    """RabbitMQ's behaviour, as the case tells it."""
    result = run_case(case, target)
    if result.outcome is Outcome.NOT_APPLICABLE:
        pytest.skip(result.message)
    if result.error is not None:
        raise AssertionError(f"{case.summary}\n{result.message}") from result.error
