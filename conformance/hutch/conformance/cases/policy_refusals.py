"""What policies may ask for, and how wrong ones are refused (POLICY)."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from hutch.conformance.case import case
from hutch.conformance.check import equal
from hutch.conformance.rabbit import Rabbit

Definition = Mapping[str, Any]
_LIMIT: Definition = {"max-length": 1}
#: A pattern that matches no queue.
_NONE = "^none$"
_KEYS: dict[str, object] = {
    "alternate-exchange": "x",
    "dead-letter-exchange": "x",
    "dead-letter-routing-key": "x",
    "dead-letter-strategy": "at-most-once",
    "delivery-limit": 5,
    "expires": 1,
    "initial-cluster-size": 1,
    "max-age": "1h",
    "max-in-memory-bytes": 0,
    "max-in-memory-length": 0,
    "max-length": 0,
    "max-length-bytes": 0,
    "message-ttl": 315360000001,
    "overflow": "reject-publish-dlx",
    "queue-leader-locator": "balanced",
    "queue-mode": "lazy",
    "queue-version": 1,
    "stream-max-segment-size-bytes": 3000000000,
}
_OLD_KEYS: dict[str, object] = {"ha-mode": "all", "queue-master-locator": "random"}
_NEW_KEYS: dict[str, object] = {
    "consumer-disconnected-timeout": 1000,
    "consumer-timeout": 1000,
    "delayed-retry-min": 1000,
    "delayed-retry-type": "disabled",
    "stream-filter-size-bytes": 255,
    "target-group-size": 3,
}
_NO_KEYS: dict[str, object] = {"bogus": 1, "max-priority": 5, "single-active-consumer": True, "x-max-length": 1}
#: The keys of _KEYS that operator policies accept.
_OPERATORS = (
    *("delivery-limit", "expires", "max-in-memory-bytes", "max-in-memory-length"),
    *("max-length", "max-length-bytes", "message-ttl"),
)
#: How the refusal lists the valid values of apply-to.
_TARGETS = {
    "3.10": "'queues', 'exchanges' or 'all'",
    "4.3": "one of: 'queues', 'classic_queues',  'quorum_queues', 'streams', 'exchanges', or 'all'",
}
_NEW_OPERATORS = ("delayed-retry-min", "delayed-retry-type", "overflow", "queue-version", "target-group-size")


def _expect_refused(attempt: Callable[[], None], *complaints: str) -> None:
    """A policy must be refused for these reasons."""
    try:
        attempt()
    except ValueError as error:
        equal(str(error), "".join(f"{line}\n" for line in ("Validation failed\n", *complaints)))
    else:
        raise AssertionError(f"a policy was accepted for which {complaints!r} were expected")


def _expect_definitions_refused(rabbit: Rabbit, refusals: Iterable[tuple[Definition, str]]) -> None:
    for definition, complaint in refusals:
        _expect_refused(lambda given=definition: rabbit.admin.set_policy("p", _NONE, given), complaint)  # type: ignore[misc]


def _unknown(key: str, value: str) -> str:
    return f'[{{<<"{key}">>,{value}}}] are not recognised policy settings'


def _printed(value: object) -> str:
    return f'<<"{value}">>' if isinstance(value, str) else str(value).lower()


@case("POLICY-06", "POLICY-12")
def keys_that_policies_have(rabbit: Rabbit) -> None:
    """Policies have the keys of their version; any other is refused."""
    known = _KEYS | rabbit.by_profile({"3.10": _OLD_KEYS, "4.3": _NEW_KEYS})
    for key, value in known.items():
        rabbit.admin.set_policy("p", _NONE, {key: value})
    unknown = _NO_KEYS | rabbit.by_profile({"3.10": _NEW_KEYS, "4.3": {"ha-mode": "all", "ha-sync-mode": "manual"}})
    _expect_definitions_refused(
        rabbit, [({key: value, "max-length": 1}, _unknown(key, _printed(value))) for key, value in unknown.items()]
    )
    both = '[{<<"abogus">>,<<"x">>},{<<"zbogus">>,[1,null,true]}] are not recognised policy settings'
    _expect_definitions_refused(rabbit, [({"zbogus": [1, None, True], "max-length": 1, "abogus": "x"}, both)])


@case("POLICY-12", "POLICY-13", profiles=["4.3"])
def master_locators_in_policies_are_denied(rabbit: Rabbit) -> None:
    """4.x knows master locators, and says that it permits them no more; of operator policies, too, which have not had
    them.
    """
    text = "use of deprecated queue-master-locator argument is not permitted"
    for definition in ({"queue-master-locator": "random"}, {"queue-master-locator": 1, "bogus": 1}):
        _expect_definitions_refused(rabbit, [(definition, text)])
        _expect_refused(
            lambda given=definition: rabbit.admin.set_operator_policy("p", _NONE, given),  # type: ignore[misc]
            text,
        )


@case("POLICY-13", "POLICY-12")
def keys_that_operator_policies_have(rabbit: Rabbit) -> None:
    """Operator policies have the keys that limit, and no dead-letter exchange."""
    every = _KEYS | rabbit.by_profile({"3.10": _OLD_KEYS, "4.3": _NEW_KEYS})
    known = {*_OPERATORS, *rabbit.by_profile({"3.10": (), "4.3": _NEW_OPERATORS})}
    for key, value in every.items():
        if key in known:
            rabbit.admin.set_operator_policy("p", _NONE, {key: value})
        elif key != "queue-master-locator":
            _expect_refused(
                lambda given={key: value}: rabbit.admin.set_operator_policy("p", _NONE, given),  # type: ignore[misc]
                _unknown(key, _printed(value)),
            )


@case("POLICY-07")
def values_that_policies_have(rabbit: Rabbit) -> None:
    """Each key has values of its own; any other is refused, and told."""
    times = {"message-ttl": "message TTL"}
    lengths = {"max-length": "maximum length", "max-length-bytes": "maximum length in bytes"}
    memory = dict.fromkeys(("max-in-memory-length", "max-in-memory-bytes"), "maximum memory in bytes")
    numbers = times | lengths | memory | {"initial-cluster-size": "cluster size"}
    names = {
        "alternate-exchange": "alternate exchange name",
        "dead-letter-exchange": "dead letter exchange name",
        "dead-letter-routing-key": "dead letter routing key",
    }
    words = {
        "dead-letter-strategy": "dead letter strategy",
        "overflow": "overflow value",
        "queue-leader-locator": "queue leader locator value",
        "queue-mode": "queue-mode value",
        "queue-version": "queue-version value",
    }
    wrong_numbers: list[tuple[object, str]] = [
        *((-1, "-1"), ("5", '<<"5">>'), (1.5, "1.5"), (True, "true"), (None, "null"), ("", "<<>>")),
        *(([1], "[1]"), ({"a": 1}, '#{<<"a">> => 1}')),
    ]
    wrong_names: list[tuple[object, str]] = [(5, "5"), (False, "false"), (["x"], '[<<"x">>]'), ({}, "#{}")]
    wrong_words: list[tuple[object, str]] = [("bogus", '<<"bogus">>'), (0, "0"), (None, "null")]
    _expect_definitions_refused(
        rabbit,
        (
            ({key: value}, f"{printed} is not a valid {called}")
            for keys, wrong in ((numbers, wrong_numbers), (names, wrong_names), (words, wrong_words))
            for key, called in keys.items()
            for value, printed in wrong
        ),
    )
    _expect_definitions_refused(
        rabbit,
        [
            ({"expires": 0}, "0 is not a valid queue expiry"),
            ({"delivery-limit": "5"}, '<<"5">> is not a valid delivery limit'),
            ({"queue-version": 3}, "3 is not a valid queue-version value"),
            ({"stream-max-segment-size-bytes": 3000000001}, "3000000001 is not a valid segment size"),
            *(({"max-age": age}, f'<<"{age}">> is not a valid max age') for age in ("0s", "1", "1x", "1.5h", "1h1m")),
        ],
    )


@case("POLICY-07", "QUORUM-07")
def a_negative_delivery_limit(rabbit: Rabbit) -> None:
    """A negative delivery limit is refused by 3.x, and no limit in 4.x."""
    if rabbit.profile == "3.10":
        _expect_definitions_refused(rabbit, [({"delivery-limit": -1}, "-1 is not a valid delivery limit")])
    else:
        rabbit.admin.set_policy("p", _NONE, {"delivery-limit": -1})


@case("POLICY-07", profiles=["4.3"])
def values_of_newer_keys(rabbit: Rabbit) -> None:
    """The keys that 4.x has beside those of 3.x have values of their own too."""
    retry = "is not a valid delayed retry"
    _expect_definitions_refused(
        rabbit,
        [
            ({"consumer-timeout": -1}, "-1 is not a valid consumer timeout"),
            ({"consumer-disconnected-timeout": -1}, "-1 is not a valid consumer disconnected timeout"),
            ({"stream-filter-size-bytes": 15}, "15 is not a valid filter size. Valid range is 16-255"),
            ({"target-group-size": 0}, "0 is not a valid qq target count value"),
            ({"delayed-retry-min": 0}, f"0 {retry} minimum delay. Must be a positive integer"),
            ({"delayed-retry-max": "x"}, f'<<"x">> {retry} maximum delay. Must be a positive integer'),
            ({"delayed-retry-type": 1}, f"1 {retry} type. Must be one of: all, failed, returned, disabled"),
            ({"delayed-retry-type": "all"}, "delayed-retry-min is required when delayed-retry-type is all"),
            (
                {"delayed-retry-min": 5, "delayed-retry-max": 4},
                "delayed-retry-max (4) must not be smaller than delayed-retry-min (5)",
            ),
        ],
    )


@case("POLICY-07", "POLICY-12", profiles=["3.10"])
def values_for_mirroring(rabbit: Rabbit) -> None:
    """3.x knows how queues are mirrored, and where their masters are put."""
    accepted: list[dict[str, object]] = [
        {"ha-mode": "exactly", "ha-params": 2, "ha-sync-mode": "automatic", "ha-sync-batch-size": 10},
        {"ha-mode": "nodes", "ha-params": ["rabbit@one"], "ha-promote-on-shutdown": "always"},
        {"ha-mode": "all", "ha-promote-on-failure": "when-synced", "queue-master-locator": "client-local"},
    ]
    for definition in accepted:
        rabbit.admin.set_policy("p", _NONE, definition)
    every: dict[str, object] = {"ha-mode": "all"}
    promote = 'must be "always" or "when-synced", got <<"x">>'
    must = "ha-mode must be specified to specify ha-params, ha-sync-mode or ha-promote-on-shutdown"
    _expect_definitions_refused(
        rabbit,
        [
            ({"ha-mode": "x"}, '<<"x">> is not a valid ha-mode value'),
            ({"ha-sync-mode": "manual"}, must),
            ({"ha-mode": "exactly"}, 'ha-mode="exactly" takes an integer, none given'),
            ({"ha-mode": "exactly", "ha-params": 0}, 'ha-mode="exactly" takes an integer, 0 given'),
            ({"ha-mode": "nodes"}, 'ha-mode="nodes" takes a list, none given'),
            ({"ha-mode": "nodes", "ha-params": 5}, 'ha-mode="nodes" takes a list, 5 given'),
            ({"ha-mode": "nodes", "ha-params": []}, 'ha-mode="nodes" list must be non-empty'),
            (
                {"ha-mode": "nodes", "ha-params": [1]},
                'ha-mode="nodes" takes a list of strings, [1] was not a string',
            ),
            ({**every, "ha-params": 2}, 'ha-mode="all" does not take parameters'),
            ({**every, "ha-sync-mode": 5}, 'ha-sync-mode must be "manual" or "automatic", got 5'),
            ({**every, "ha-sync-batch-size": 0}, "ha-sync-batch-size takes an integer greater than 0, 0 given"),
            # Of several faults, the first by key name is reported. The ha-* keys come before or after, depending on
            # the plugins.
            ({**every, "max-length": -1, "max-age": "1x"}, '<<"1x">> is not a valid max age'),
            (
                {**every, "ha-sync-mode": "x", "ha-sync-batch-size": 0},
                'ha-sync-mode must be "manual" or "automatic", got <<"x">>',
            ),
            ({**every, "ha-promote-on-shutdown": "x"}, f"ha-promote-on-shutdown {promote}"),
            ({**every, "ha-promote-on-failure": "x"}, f"ha-promote-on-failure {promote}"),
            ({"queue-master-locator": "x"}, '<<"x">> invalid queue-master-locator value'),
        ],
    )


@case("POLICY-08")
def an_empty_definition(rabbit: Rabbit) -> None:
    """A policy that asks for nothing is refused, an operator policy too."""
    for set_policy in (rabbit.admin.set_policy, rabbit.admin.set_operator_policy):
        _expect_refused(lambda given=set_policy: given("p", _NONE, {}), "no policy provided")  # type: ignore[misc]


@case("POLICY-06", profiles=["3.10"])
def text_in_refusals(rabbit: Rabbit) -> None:
    """Of text outside of ASCII 3.x prints each byte; the management API shows it as it was, or in numbers if a byte is
    no letter of Latin-1.
    """
    long = {"é" * 12: "x", "ü" * 12: "y", "b": 1}  # a key's length is in bytes
    folded = f'{{<<"b">>,1}},\n {{<<"{"é" * 12}">>,<<"x">>}},\n {{<<"{"ü" * 12}">>,<<"y">>}}'
    _expect_definitions_refused(
        rabbit,
        [
            ({"bösartig": "é"}, _unknown("bösartig", '<<"é">>')),
            ({"bogus": "Ω \n\xa0"}, _unknown("bogus", '<<"Ω \\n\xa0">>')),
            ({"bogus": ["é€", {"ü": "é"}]}, _unknown("bogus", '[<<195,169,226,130,172>>,#{<<"ü">> => <<"é">>}]')),
            ({"ключ": 1}, "[{<<208,186,208,187,209,142,209,135>>,1}] are not recognised policy settings"),
            ({"max-length": "é"}, '<<"é">> is not a valid maximum length'),
            ({"ha-mode": "ü"}, '<<"ü">> is not a valid ha-mode value'),
            (long, f"[{folded}] are not recognised policy settings"),
        ],
    )
    _expect_refused(
        lambda: rabbit.admin.set_operator_policy("p", _NONE, {"b": "ü"}, apply_to="é", priority="ß"),
        _unknown("b", '<<"ü">>'),
        "apply-to 'é' unrecognised; should be 'queues', 'exchanges' or 'all'",
        "priority should be a number, actually was <<195,159>>",
    )


@case("POLICY-09")
def a_pattern_that_is_no_regular_expression(rabbit: Rabbit) -> None:
    """A pattern has to be a regular expression; what is wrong with it is told in the words of 3.x's PCRE or 4.x's
    PCRE2.
    """
    fold = f",\n{' ' * 54}"  # Erlang breaks the line here
    wrong = {
        "[": f'{{"missing terminating ] for character class"{fold}1}}',
        "ab[c": f'{{"missing terminating ] for character class"{fold}4}}',
        "\\": f'{{"\\\\ at end of pattern"{fold}1}}',
    }
    older = {
        "(": '{"missing )",1}',
        "ab(c": '{"missing )",4}',
        "a)b": f'{{"unmatched parentheses"{fold}1}}',
        "*": '{"nothing to repeat",0}',
        "a|*": '{"nothing to repeat",2}',
    }
    newer = {
        "(": f'{{"missing closing parenthesis"{fold}1}}',
        "ab(c": f'{{"missing closing parenthesis"{fold}4}}',
        "a)b": f'{{"unmatched closing parenthesis"{fold}2}}',
        "*": f'{{"quantifier does not follow a repeatable item"{fold}1}}',
        "a|*": f'{{"quantifier does not follow a repeatable item"{fold}3}}',
    }
    for pattern, text in (wrong | rabbit.by_profile({"3.10": older, "4.3": newer})).items():
        _expect_refused(
            lambda given=pattern: rabbit.admin.set_policy("p", given, _LIMIT),  # type: ignore[misc]
            f"pattern should be regular expression but is invalid: {text}",
        )
    for pattern in ("", "(?i)^orders", r"\d+$", "a{2", "a++", "(?<=a)b"):
        rabbit.admin.set_policy("p", pattern, _LIMIT, priority=-9)


@case("POLICY-09")
def classes_in_patterns(rabbit: Rabbit) -> None:
    """POSIX's names of characters stand within a class, and what is no character is in no range of one; 3.x tells where
    that begins, and 4.x where it ends.
    """
    indent = 54
    named = "POSIX named classes are supported only within a class"
    collating, unknown = "POSIX collating elements are not supported", "unknown POSIX class name"
    invalid, disordered = "invalid range in character class", "range out of order in character class"
    refused = [
        ("[:alpha:]", named, 0, 9),
        ("a[:none:]+", named, 1, 9),
        ("([:alpha:]", named, 1, 10),
        ("[.a.]", collating, 0, 5),
        ("b[[=a=]]", collating, 2, 7),
        ("[a[:none:]]", unknown, 4, 10),
        ("[[:^none:]]", unknown, 4, 10),
        ("[a-[:digit:]]", invalid, 3, 12),
        (r"[a-\d]", invalid, 4, 5),
        ("[b-a]", disordered, 3, 4),
        ("[b-a][:alpha:]", disordered, 3, 4),
        ("é[é-a]", disordered, 6, 7),
    ]
    taken = ["[:a]", "[:a]:]", "[^:alpha:]", r"\[:alpha:]", "[[:a]]", "[a-c-[:digit:]]"]
    if rabbit.profile == "4.3":
        refused += [("[[:alpha:]-z]", invalid, 0, 11), (r"[\w-.]", invalid, 0, 4)]
    else:
        taken += ["[[:alpha:]-z]", r"[\w-.]"]
    for pattern, reason, begins, ends in refused:
        place = rabbit.by_profile({"3.10": begins, "4.3": ends})
        _expect_refused(
            lambda given=pattern: rabbit.admin.set_policy("p", given, _LIMIT),  # type: ignore[misc]
            f'pattern should be regular expression but is invalid: {{"{reason}",\n{" " * indent}{place}}}',
        )
    for pattern in taken:
        rabbit.admin.set_policy("p", pattern, _LIMIT, priority=-9)


@case("POLICY-11")
def what_policies_may_apply_to(rabbit: Rabbit) -> None:
    """A policy applies to what its version knows; anything else is refused, and what there is told."""
    known = rabbit.by_profile(_TARGETS)
    unknown = ["bogus", "", *rabbit.by_profile({"3.10": ["classic_queues", "streams"], "4.3": []})]
    for target in unknown:
        _expect_refused(
            lambda given=target: rabbit.admin.set_policy("p", _NONE, _LIMIT, apply_to=given),  # type: ignore[misc]
            f"apply-to '{target}' unrecognised; should be {known}",
        )


@case("POLICY-06", "POLICY-09", "POLICY-11")
def several_things_wrong(rabbit: Rabbit) -> None:
    """All parts of a policy are checked, and each wrong part has one line. For a definition that is the first wrong
    value of a known key, by name.
    """
    _expect_definitions_refused(
        rabbit,
        [
            ({"message-ttl": -1, "max-length": -2, "abogus": 1}, "-2 is not a valid maximum length"),
            ({"abogus": 1, "message-ttl": -1, "max-length": 2}, "-1 is not a valid message TTL"),
        ],
    )
    known = rabbit.by_profile(_TARGETS)
    _expect_refused(
        lambda: rabbit.admin.set_policy("p", "[", {"bogus": 1}, apply_to="x", priority="high"),
        '[{<<"bogus">>,1}] are not recognised policy settings',
        f"apply-to 'x' unrecognised; should be {known}",
        'pattern should be regular expression but is invalid: {"missing terminating ] for character class",\n'
        f"{' ' * 54}1}}",
        'priority should be a number, actually was <<"high">>',
    )
