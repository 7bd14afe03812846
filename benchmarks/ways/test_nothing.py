"""No broker at all."""


def test_empty() -> None:
    pass
