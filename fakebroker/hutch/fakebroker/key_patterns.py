"""Patterns of routing keys, where a test asks for messages or commands."""


def key_matches(pattern: str, key: str) -> bool:
    """Whether a key matches a pattern, as at a topic exchange: ``*`` is one word, ``#`` any number."""
    words = key.split(".")
    reached = {0}
    for part in pattern.split("."):
        if part == "#":
            reached = set(range(min(reached, default=len(words) + 1), len(words) + 1))
        else:
            reached = {at + 1 for at in reached if at < len(words) and part in {"*", words[at]}}
    return len(words) in reached
