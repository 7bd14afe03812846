"""Runs of pytest that tests make."""

#: Plugins that may be installed. The inner runs disable them: they do not depend on them, and are faster.
OTHERS = (
    *("randomly", "asyncio", "anyio", "timeout", "xdist", "xdist.looponfail", "hypothesispytest", "time_machine"),
    "cacheprovider",
    "platformdirs",
)


def without(*plugins: str) -> tuple[str, ...]:
    """The arguments that leave plugins out."""
    return tuple(argument for name in plugins for argument in ("-p", f"no:{name}"))


ALONE = without(*OTHERS)
