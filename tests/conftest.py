"""What tests of more than one part use."""

from collections.abc import Iterator

import pytest

from tests import targets


def pytest_sessionfinish() -> None:
    targets.end_session()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "target" in metafunc.fixturenames:
        marker = metafunc.definition.get_closest_marker("targets")
        names = marker.args if marker else tuple(targets.TARGETS)
        metafunc.parametrize("target", targets.chosen(metafunc.config, names), indirect=True)


@pytest.fixture
def target(request: pytest.FixtureRequest) -> Iterator[targets.Target]:
    """Each broker that the command line chooses."""
    opening = targets.TARGETS[request.param]()
    with opening as target, target.cleanup:
        yield target
