"""What tests of more than one part use."""

from collections.abc import Iterator

import pytest

from tests import targets


def pytest_sessionfinish() -> None:
    targets.end_session()


@pytest.fixture(params=targets.TARGETS)
def target(request: pytest.FixtureRequest) -> Iterator[targets.Target]:
    """Each broker that the client's tests run on."""
    opening = targets.TARGETS[request.param]()
    with opening as target, target.cleanup:
        yield target
