"""Columns, order and pages of lists (HTTP-LIST)."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from hutch.fakebroker.management.errors import Refusal, bad_request, crash
from hutch.fakebroker.management.profile import ManagementProfile

Item = Mapping[str, Any]

_DEFAULT_SIZE: Final = 100
_LARGEST_SIZE: Final = 500


def arrange(items: list[Item], query: Mapping[str, str], profile: ManagementProfile, *, pages: bool) -> Any:
    """A list, or a page of it, in the order and with the columns that are asked for.

    Raises:
        Refusal: 400 or 500, as the parameters are.
    """
    if not pages or "page" not in query:
        return choose(_ordered(items, query, profile), query)
    number, size = _numbers(query)
    wanted = _named(items, query, profile)
    count = -(-len(wanted) // size)
    if number > max(count, 1):
        text = f"Page out of range, page: {number} page size: {size}, len: {len(wanted)}"
        raise Refusal(400, "page_out_of_range", text)
    page = _ordered(wanted, query, profile)[(number - 1) * size : number * size]
    return {
        "filtered_count": len(wanted),
        "item_count": len(page),
        "items": choose(page, query),
        "page": number,
        "page_count": count,
        "page_size": size,
        "total_count": len(items),
    }


def _numbers(query: Mapping[str, str]) -> tuple[int, int]:
    try:
        number, size = int(query["page"]), int(query.get("page_size", _DEFAULT_SIZE))
    except ValueError:
        raise bad_request("Pagination parameters are invalid") from None
    if number < 1 or not 1 <= size <= _LARGEST_SIZE:
        told = size if "page_size" in query else "undefined"
        text = f"Invalid pagination parameters: page number {number}, page size {told}"
        raise Refusal(400, "invalid_pagination_parameters", text)
    return number, size


def _named(items: list[Item], query: Mapping[str, str], profile: ManagementProfile) -> list[Item]:
    """Those whose names have what is asked for."""
    name = query.get("name", "")
    if not name:
        return items
    if query.get("use_regex") != "true":
        return [item for item in items if name.lower() in str(item["name"]).lower()]
    try:
        pattern = re.compile(name, re.IGNORECASE)
    except re.error:
        if profile.bad_pattern_finds_nothing:
            return []
        raise bad_request("Pagination parameters are invalid") from None
    return [item for item in items if pattern.search(str(item["name"]))]


def _ordered(items: list[Item], query: Mapping[str, str], profile: ManagementProfile) -> list[Item]:
    by = query.get("sort")
    if by:
        path = by.split(".")
        items = sorted(items, key=lambda item: _rank(_at(item, path)))
    if "sort_reverse" in query:
        if query["sort_reverse"] == "true":
            return items[::-1]
        if items and not profile.bad_pattern_finds_nothing and query["sort_reverse"] != "false":
            raise crash()
    return items


def _at(item: Any, path: Sequence[str]) -> Any:
    """What is at a path with dots. The rest of the path may be one key that has dots itself."""
    for index, key in enumerate(path):
        if not isinstance(item, Mapping):
            return None
        rest = ".".join(path[index:])
        if rest in item:
            return item[rest]
        item = item.get(key)
    return item


def _rank(value: Any) -> tuple[int, Any]:
    """What orders values of any type as Erlang orders them: numbers, words, objects, lists, texts."""
    if value is None:
        return -1, 0
    if isinstance(value, bool):
        return 1, value
    if isinstance(value, int | float):
        return 0, value
    if isinstance(value, str):
        return 4, value.encode("utf-8", "surrogateescape")
    return 3, str(value)


def choose(value: Any, query: Mapping[str, str]) -> Any:
    """An object, or a list of objects, with the columns that are asked for (HTTP-LIST-14 to HTTP-LIST-16)."""
    if "columns" not in query:
        return value
    columns = [column.split(".") for column in query["columns"].split(",")]
    if isinstance(value, list):
        return [_chosen(item, columns) for item in value]
    return _chosen(value, columns)


#: Keys inside these are not columns.
_WHOLE: Final = frozenset({"arguments", "object_totals"})


def _chosen(item: Item, columns: Sequence[Sequence[str]]) -> Any:
    kept: dict[str, Any] = {}
    for first, *rest in columns:
        if first not in item:
            continue
        inner = item[first]
        if rest and isinstance(inner, Mapping) and first not in _WHOLE:
            narrowed = _chosen(inner, [rest])
            if narrowed:
                kept[first] = {**kept.get(first, {}), **narrowed}
        else:
            kept[first] = inner
    return kept or []  # Erlang's empty object is a list
