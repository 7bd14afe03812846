"""Runs of pytest that tests make."""

#: Other plugins that may be installed here: the runs do not depend on them, and are faster without.
OTHERS = (
    *("randomly", "asyncio", "anyio", "timeout", "xdist", "xdist.looponfail", "hypothesispytest", "time_machine"),
    "cacheprovider",
    "platformdirs",
)


def without(*plugins: str) -> tuple[str, ...]:
    """The arguments that leave plugins out."""
    return tuple(argument for name in plugins for argument in ("-p", f"no:{name}"))


ALONE = without(*OTHERS)
