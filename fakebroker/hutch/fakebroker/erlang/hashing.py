"""Erlang's portable hash, and jump consistent hashing on Erlang's exs1024 numbers: with both, a key gets to the very
queue that RabbitMQ takes for it (EXCH-PLUGIN-02, EXCH-PLUGIN-10).

The hash is erlang:phash2/1 (https://www.erlang.org/doc/apps/erts/erlang#phash2/1), built on Bob Jenkins's; jump
consistent hashing is that of https://arxiv.org/abs/1406.2294.
"""

from collections.abc import Sequence
from functools import lru_cache
from struct import Struct
from typing import Final, TypeAlias


class Atom(str):
    """An Erlang atom."""

    __slots__ = ()


#: An Erlang term: a binary is bytes.
Term: TypeAlias = "Atom | bytes | int | float | tuple[Term, ...] | list[Term]"

_THREE_WORDS: Final = Struct("<III")
_DOUBLE: Final = Struct(">d")
_TWO_WORDS: Final = Struct(">II")
_32: Final = (1 << 32) - 1
_64: Final = (1 << 64) - 1
_GOLDEN: Final = 0x9E3779B9
_EMPTY_LIST: Final = 3468870702


def phash2(term: Term) -> int:
    """Erlang's hash of a term, 27 bits."""
    return _hash(term, 0) & (1 << 27) - 1


def phash2_32(term: Term) -> int:
    """Erlang's hash of a term as ``erlang:phash2(Term, 1 bsl 32)`` gives it: all of its 32 bits."""
    return _hash(term, 0)


def _mix(a: int, b: int, c: int) -> tuple[int, int, int]:
    a = (a - b - c & _32) ^ c >> 13
    b = (b - c - a & _32) ^ a << 8 & _32
    c = (c - a - b & _32) ^ b >> 13
    a = (a - b - c & _32) ^ c >> 12
    b = (b - c - a & _32) ^ a << 16 & _32
    c = (c - a - b & _32) ^ b >> 5
    a = (a - b - c & _32) ^ c >> 3
    b = (b - c - a & _32) ^ a << 10 & _32
    return a, b, (c - a - b & _32) ^ b >> 15


def _add(state: int, kind: int, one: int, other: int = 0) -> int:
    """Mix two words into the state; ``kind`` tells the kinds of terms apart."""
    salt = kind * _GOLDEN
    return _mix(one + salt & _32, other + salt & _32, state)[2]


def _hash(term: Term, state: int) -> int:
    if isinstance(term, Atom):
        return _add(state, 3, _hash_name(term)) if state else _hash_name(term)
    if isinstance(term, bytes):
        return _hash_bytes(term, state)
    if isinstance(term, int):
        return _hash_int(term, state)
    if isinstance(term, float):
        return _add(state, 12, *_TWO_WORDS.unpack(_DOUBLE.pack(term + 0.0)))  # a negative zero counts as zero
    if isinstance(term, list):
        return _hash_list(term, state)
    state = _add(state, 9, len(term))
    for item in term:
        state = _hash(item, state)
    return state


def _hash_name(atom: Atom) -> int:
    value = 0
    for octet in atom.encode():
        value = (value << 4) + octet
        high = value & 0xF0000000
        value ^= high >> 24 ^ high
    return value


def _hash_bytes(data: bytes, state: int) -> int:
    a = b = _GOLDEN
    c = state + 13 * _GOLDEN & _32
    if not data:
        return c
    whole = len(data) // 12 * 12
    for first, second, third in _THREE_WORDS.iter_unpack(data[:whole]):
        a, b, c = _mix(a + first & _32, b + second & _32, c + third & _32)
    # The lowest octet of the last word is for the length, not for data.
    first, second, third = _THREE_WORDS.unpack(data[whole:].ljust(12, b"\0"))
    return _mix(a + first & _32, b + second & _32, c + len(data) + (third << 8) & _32)[2]


def _hash_int(value: int, state: int) -> int:
    if -(1 << 27) <= value < 1 << 27:
        return _add(_add(state, 1, -value) if value < 0 else state, 1, value)
    rest, kind = abs(value), 10 if value < 0 else 11
    while rest:
        state = _add(state, kind, rest & _32, rest >> 32 & _32)
        rest >>= 64
    return state


def _hash_list(items: Sequence[Term], state: int) -> int:
    if not items and not state:
        return _EMPTY_LIST
    word = count = 0
    for item in items:
        is_octet = isinstance(item, int) and 0 <= item <= 255
        if isinstance(item, int) and is_octet:
            word, count = word << 8 | item, count + 1  # text: four characters to a word
        if count == 4 or (count and not is_octet):
            state = _add(state, 4, word)
            word = count = 0
        if not is_octet:
            state = _hash(item, state)
    if count:
        state = _add(state, 4, word)
    return _add(state, 2, 2)


@lru_cache(maxsize=4096)
def jump(key: int, buckets: int) -> int:
    """The bucket, 0 to ``buckets`` - 1, that jump consistent hashing takes for a key."""
    bucket, following = -1, 0
    numbers = _Numbers(key)
    while following < buckets:
        bucket = following
        following = int((bucket + 1) / numbers.next())
    return bucket


class _Numbers:
    """Erlang's random numbers of the algorithm exs1024, seeded with ``{key, key, key}``."""

    def __init__(self, key: int) -> None:
        mask = (1 << 21) - 1
        one, two, three = (((key & mask) + 1) * prime & mask for prime in (2097131, 2097133, 2097143))
        state = one << 43 | two << 22 | three << 1 | 1
        words = []
        for _ in range(16):
            state ^= state >> 12
            state = (state ^ state << 25) & _64
            state ^= state >> 27
            words.append(state * 2685821657736338717 & _64)
        self._words = words[::-1]
        self._at = 0

    def next(self) -> float:
        """A number from 0 to 1."""
        words, at = self._words, self._at
        self._at = (at + 1) % 16
        one, other = words[at], words[self._at]
        other = (other ^ other << 31) & _64
        other ^= other >> 11
        word = words[self._at] = one ^ one >> 30 ^ other
        return (word * 1181783497276652981 & _64) / (1 << 64)
