"""The management API: columns, order and pages of lists (HTTP-LIST)."""

from collections.abc import Mapping
from typing import Any

from hutch.conformance.case import case
from hutch.conformance.check import equal
from hutch.conformance.http_rows import CRASHED, Request, bad, refusal, row
from hutch.conformance.rabbit import Rabbit

_NAMES = ("Zed", "a.b", "q00", "q01", "q02")
_PUT: list[Request] = [("PUT", f"queues/V/{name}", {}) for name in _NAMES]


def _names(told: list[Mapping[str, Any]]) -> list[Any]:
    return [each["name"] for each in told]


def _listed(rabbit: Rabbit, query: str) -> Any:
    for request in _PUT:
        rabbit.http(*request).expect_success()
    return rabbit.http("GET", f"queues/V?{query}").expect(200)


@case("HTTP-LIST-01", "HTTP-LIST-10")
def a_page(rabbit: Rabbit) -> None:
    """A page tells how many items and pages there are; its default size is 100."""
    told = _listed(rabbit, "page=2&page_size=2&columns=name")
    wanted = {"filtered_count": 5, "item_count": 2, "page": 2, "page_count": 3, "page_size": 2, "total_count": 5}
    equal(told, {**wanted, "items": [{"name": "q00"}, {"name": "q01"}]})
    told = _listed(rabbit, "page=1")
    equal((told["page_size"], _names(told["items"])), (100, list(_NAMES)))


@case("HTTP-LIST-02")
def no_page(rabbit: Rabbit) -> None:
    """Without page there is a plain list, and nothing is filtered."""
    for query in ("page_size=2", "name=q", "use_regex=true", "pagination=true"):
        equal(_names(_listed(rabbit, query)), list(_NAMES))


@case("HTTP-LIST-03")
def pagination_that_is_turned_off(rabbit: Rabbit) -> None:
    """The parameter pagination is not read."""
    equal(_listed(rabbit, "page=1&pagination=false")["item_count"], 5)


@case("HTTP-LIST-04")
def a_page_of_nothing(rabbit: Rabbit) -> None:
    """Where there is nothing, the first page is empty and there are none."""
    told = rabbit.http("GET", "queues/V?page=1").expect(200)
    equal((told["page_count"], told["items"], told["total_count"]), (0, [], 0))


row(
    "HTTP-LIST-05",
    "a_page_too_far",
    "A page behind the last one is refused.",
    ("GET", "queues/V?page=4&page_size=2"),
    refusal(400, "page_out_of_range", "Page out of range, page: 4 page size: 2, len: 5"),
    before=_PUT,
)
for name, query, text in (
    ("a_page_size_of_501", "page=1&page_size=501", "page number 1, page size 501"),
    ("a_page_size_of_0", "page=1&page_size=0", "page number 1, page size 0"),
    ("page_0", "page=0", "page number 0, page size undefined"),
):
    row(
        "HTTP-LIST-06",
        name,
        f"The query {query} is refused.",
        ("GET", f"queues/V?{query}"),
        refusal(400, "invalid_pagination_parameters", f"Invalid pagination parameters: {text}"),
    )
for name, query in (
    ("a_page_of_letters", "page=x"),
    ("an_empty_page", "page="),
    ("a_size_of_letters", "page=1&page_size=x"),
):
    row(
        "HTTP-LIST-07",
        name,
        f"The query {query} is refused.",
        ("GET", f"queues/V?{query}"),
        bad("Pagination parameters are invalid"),
    )


@case("HTTP-LIST-08")
def items_by_name(rabbit: Rabbit) -> None:
    """A page has the items whose name contains a text, in upper or lower case, or that a pattern finds."""
    told = _listed(rabbit, "page=1&name=Q0")
    equal((_names(told["items"]), told["filtered_count"], told["total_count"]), (["q00", "q01", "q02"], 3, 5))
    equal(_names(_listed(rabbit, "page=1&name=.b")["items"]), ["a.b"])
    equal(_names(_listed(rabbit, "page=1&use_regex=true&name=%5Ez")["items"]), ["Zed"])


row(
    "HTTP-LIST-09",
    "a_bad_pattern_of_names",
    "A pattern that is no regular expression is refused by 3.10, and finds nothing on 4.3.",
    ("GET", "queues/V?page=1&use_regex=true&name=%5B&columns=name"),
    {
        "3.10": bad("Pagination parameters are invalid"),
        "4.3": (
            200,
            {
                "filtered_count": 0,
                "item_count": 0,
                "items": [],
                "page": 1,
                "page_count": 0,
                "page_size": 100,
                "total_count": 5,
            },
        ),
    },
    before=_PUT,
)


@case("HTTP-LIST-11", "HTTP-LIST-12")
def items_in_order(rabbit: Rabbit) -> None:
    """Lists are sorted by any key, forwards and backwards; what lacks the key goes first."""
    rabbit.http("PUT", "queues/V/one", {"arguments": {"x-max-length": 5}}).expect(201)
    rabbit.http("PUT", "queues/V/two", {"arguments": {"x-max-length": 3}}).expect(201)
    rabbit.http("PUT", "queues/V/none", {}).expect(201)
    ordered = ["none", "two", "one"]
    equal(_names(rabbit.http("GET", "queues/V?sort=arguments.x-max-length").expect(200)), ordered)
    told = rabbit.http("GET", "queues/V?sort=arguments.x-max-length&sort_reverse=true").expect(200)
    equal(_names(told), ordered[::-1])
    equal(_names(rabbit.http("GET", "queues/V?sort_reverse=true").expect(200)), ["two", "one", "none"])
    equal(_names(rabbit.http("GET", "queues/V?sort=no-such-key").expect(200)), ["none", "one", "two"])


row(
    "HTTP-LIST-12",
    "a_bogus_sort_reverse",
    "Another value than true or false is a crash of 3.10, and not read by 4.3.",
    ("GET", "queues/V?sort_reverse=bogus&columns=name"),
    {"3.10": CRASHED, "4.3": (200, [{"name": "q"}])},
    before=[("PUT", "queues/V/q", {})],
)


@case("HTTP-LIST-14", "HTTP-LIST-15", "HTTP-LIST-16", "HTTP-LIST-17")
def columns_of_items(rabbit: Rabbit) -> None:
    """Columns choose the keys of lists and of single objects; of arguments all or none. The first columns count."""
    http = rabbit.http
    http("PUT", "queues/V/q", {"arguments": {"x-max-length": 5, "x-expires": 60000}}).expect(201)
    equal(http("GET", "queues/V?columns=name,durable").expect(200), [{"name": "q", "durable": False}])
    equal(http("GET", "queues/V/q?columns=name&columns=vhost").expect(200), {"name": "q"})
    equal(http("GET", "queues/V/q?columns=name%2Cdurable").expect(200), {"name": "q", "durable": False})
    told = http("GET", "queues/V/q?columns=arguments.x-max-length").expect(200)
    equal(told["arguments"]["x-expires"], 60000)
    equal(http("GET", "queues/V?columns=no-such-key").expect(200), [[]])
    equal(http("GET", "queues/V/q?columns=").expect(200), [])


row(
    "HTTP-PROTO-33",
    "an_unknown_parameter",
    "Parameters that nobody knows are not read.",
    ("GET", "exchanges/V/amq.direct?columns=name&whatever=1"),
    (200, {"name": "amq.direct"}),
)
row(
    "HTTP-LIST-02",
    "bindings_come_in_no_pages",
    "Bindings are a plain list, also with page.",
    ("GET", "bindings/V?page=1"),
    (200, []),
)


@case("HTTP-LIST-01")
def exchanges_come_in_pages(rabbit: Rabbit) -> None:
    """Exchanges come in pages, too."""
    told = rabbit.http("GET", "exchanges/V?page=1&name=amq.d&columns=name").expect(200)
    equal((told["items"], told["filtered_count"], told["page_count"]), ([{"name": "amq.direct"}], 1, 1))
