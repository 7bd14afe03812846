import pytest
from hypothesis import given
from hypothesis import strategies as st

from hutch.wire.url import DEFAULT_PORTS, Address, InvalidURL, parse_url


def parse_one(url: str) -> Address:
    (address,) = parse_url(url)
    return address


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("amqp://", Address("amqp", "localhost", 5672, "guest", "guest", "/")),
        ("amqps://", Address("amqps", "localhost", 5671)),
        ("AMQP://host", Address("amqp", "host", 5672)),
        ("amqp://:5000", Address("amqp", "localhost", 5000)),
        ("amqp://host:", Address("amqp", "host", 5672)),
        ("amqp://user@host", Address("amqp", "host", 5672, "user")),
        ("amqp://user:@host", Address("amqp", "host", 5672, "user", "")),
        ("amqp://:@/", Address("amqp", "localhost", 5672, "", "")),
        ("amqp://user:pass@host:10000/vhost", Address("amqp", "host", 10000, "user", "pass", "vhost")),
        (
            "amqp://user%61:%61pass@ho%61st:10000/v%2fhost",
            Address("amqp", "hoast", 10000, "usera", "apass", "v/host"),
        ),
        ("amqp://me@corp:p@ss:w%2Frd@host", Address("amqp", "host", 5672, "me@corp", "p@ss:w/rd")),
        ("amqp://u%C3%A9:%E2%82%AC@host/é", Address("amqp", "host", 5672, "ué", "€", "é")),
        ("amqp://1.2.3.4:1", Address("amqp", "1.2.3.4", 1)),
        ("amqp://[::1]", Address("amqp", "::1", 5672)),
        ("amqp://u:p@[2001:db8::7]:65535/v", Address("amqp", "2001:db8::7", 65535, "u", "p", "v")),
        ("amqp://[fe80::1%25eth0]:99", Address("amqp", "fe80::1%eth0", 99)),
        ("memory://orders", Address("memory", "orders", None)),
        ("memory://u:p@orders/v", Address("memory", "orders", None, "u", "p", "v")),
    ],
)
def test_parts(url: str, address: Address) -> None:
    assert parse_one(url) == address


@pytest.mark.parametrize(
    ("path", "virtual_host"),
    [
        ("", "/"),
        ("/", "/"),
        ("//", "/"),
        ("/%2F", "/"),
        ("/%2f", "/"),
        ("/foo", "foo"),
        ("//foo", "/foo"),
        ("/%2Ffoo", "/foo"),
        ("/a/b", "a/b"),
        ("/a%25b+c", "a%b+c"),
        ("/%20", " "),
    ],
)
def test_virtual_hosts(path: str, virtual_host: str) -> None:
    assert parse_one("amqp://host" + path).virtual_host == virtual_host
    assert parse_one(f"amqp://host{path}?heartbeat=1").virtual_host == virtual_host


@pytest.mark.parametrize(
    ("query", "options"),
    [
        ("", {}),
        ("?", {}),
        (
            "?heartbeat=5&connection_timeout=10000&channel_max=7&frame_max=8192",
            {"heartbeat": "5", "connection_timeout": "10000", "channel_max": "7", "frame_max": "8192"},
        ),
        ("?cacertfile=/etc/c++/ca%20.pem&verify=", {"cacertfile": "/etc/c++/ca .pem", "verify": ""}),
        ("?a=b=c?d", {"a": "b=c?d"}),
    ],
)
def test_options(query: str, options: dict[str, str]) -> None:
    for path in ("", "/", "/v"):
        assert parse_one(f"amqp://host{path}{query}").options == options


def test_several_hosts_take_from_the_first_what_they_lack() -> None:
    first = Address("amqps", "a", 5000, "me", "secret", "v", {"heartbeat": "5"})
    assert parse_url("amqps://me:secret@a:5000/v?heartbeat=5;b;c:6000;you@d/w;:x@e?frame_max=0;[::1]") == [
        first,
        Address("amqps", "b", 5000, "me", "secret", "v", {"heartbeat": "5"}),
        Address("amqps", "c", 6000, "me", "secret", "v", {"heartbeat": "5"}),
        Address("amqps", "d", 5000, "you", "guest", "w", {"heartbeat": "5"}),
        Address("amqps", "e", 5000, "", "x", "v", {"frame_max": "0"}),
        Address("amqps", "::1", 5000, "me", "secret", "v", {"heartbeat": "5"}),
    ]


def test_a_host_with_its_own_scheme_stands_alone() -> None:
    assert parse_url("amqp://me:secret@a:5000/v?heartbeat=5;amqp://b;c;amqps://u:p@d/w;memory://m") == [
        Address("amqp", "a", 5000, "me", "secret", "v", {"heartbeat": "5"}),
        Address("amqp", "b", 5672),
        Address("amqp", "c", 5000, "me", "secret", "v", {"heartbeat": "5"}),
        Address("amqps", "d", 5671, "u", "p", "w"),
        Address("memory", "m", None),
    ]


SECRET = "s3cr3t"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("", "the URL is empty"),
        ("host", "no scheme"),
        ("u:s3cr3t@host:5672/v", "no scheme"),
        ("//u:s3cr3t@host", "no scheme"),
        ("http://u:s3cr3t@host", "unknown scheme http://; known are amqp, amqps, memory"),
        ("amqp+tls://host", r"unknown scheme amqp\+tls://"),
        ("amqp://u:s3cr3t@host:port", "the port is not a number from 1 to 65535"),
        ("amqp://host:0", "the port is not a number"),
        ("amqp://host:65536", "the port is not a number"),
        ("amqp://host:5672:5672", "the port is not a number"),
        ("amqp://host:+5672", "the port is not a number"),
        ("amqp://host:٣", "the port is not a number"),
        ("amqp://[::1]5672", "the port stands behind a colon"),
        ("amqp://[host]", "only an IPv6 address stands in brackets"),
        ("amqp://[::1", "only an IPv6 address stands in brackets"),
        ("amqp://ho,st", "a host name is letters, digits"),
        ("amqp://ho%2Fst", "a host name is letters, digits"),
        ("amqp://u:s3cr3t%zz@host", "the password holds a % that no two hexadecimal digits follow"),
        ("amqp://u%2:s3cr3t@host", "the user holds a %"),
        ("amqp://host/50%", "the virtual host holds a %"),
        ("amqp://host/%FF", "the virtual host is not UTF-8"),
        ("amqp://u:s3cr3t%FF@host", "the password is not UTF-8"),
        ("amqp://host?heartbeat", "option heartbeat has no value"),
        ("amqp://host?=5", "an option without a name"),
        ("amqp://host?a=1&", "an option without a name"),
        ("amqp://host?a=1&b=2&a=3", "option a is given twice"),
        ("amqp://host?a=%G0", "the option a holds a %"),
        ("amqp://u:s3cr3t@host/v#x", "holds a bare '#'; write it as %23"),
        ("amqp://u:s3cr3t@host/v\n", r"holds a bare '\\n'; write it as %0A"),
        (" amqp://host", "holds a bare ' '; write it as %20"),
        ("memory://", "memory://name"),
        ("memory://u:s3cr3t@", "memory://name"),
        ("memory://name:5672", "a memory URL has no port"),
        ("amqp://a;", "host 2 of the URL: nothing between two ;"),
        ("amqp://a;;b", "host 2 of the URL: nothing between two ;"),
        ("amqp://a;b;/v", "host 3 of the URL: no host name"),
        ("amqp://a;b:x", "host 2 of the URL: the port"),
        # Passwords with characters that must be escaped.
        ("amqp://u:s3cr3t/x@host", "in a password, / [?] ; are written %2F %3F %3B"),
        ("amqp://u:12/s3cr3t@host", "in a password, / [?] ; are written %2F %3F %3B"),
        ("amqp://u:12?s3cr3t@host", "in a password, / [?] ; are written %2F %3F %3B"),
        ("amqp://u:s3cr3t;x@host", "in a password, / [?] ; are written %2F %3F %3B"),
        ("amqp://u:s3cr3t#x@host", "holds a bare '#'"),
    ],
)
def test_what_is_wrong_is_named_and_the_password_is_not(url: str, message: str) -> None:
    with pytest.raises(InvalidURL, match=message) as raised:
        parse_url(url)
    assert "\n" not in str(raised.value)
    assert SECRET not in str(raised.value)
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__ or raised.value.__context__ is None


def test_secrets_are_not_in_the_repr() -> None:
    address = parse_one("amqps://me:s3cr3t@host?password=s3cr3t")
    assert repr(address) == "Address(scheme='amqps', host='host', port=5671, userid='me', virtual_host='/')"
    assert address.password == address.options["password"] == SECRET


def test_addresses_are_hashable() -> None:
    assert len({parse_one("amqp://a?b=c"), parse_one("amqp://a/?b=c"), parse_one("amqp://b")}) == 2


def escape(text: str) -> str:
    return "".join(f"%{octet:02x}" for octet in text.encode())


names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)


@given(names, names, names, st.dictionaries(names, names, max_size=3), st.sampled_from(sorted(DEFAULT_PORTS)))
def test_everything_can_be_escaped(
    userid: str, password: str, virtual_host: str, options: dict[str, str], scheme: str
) -> None:
    query = "&".join(f"{escape(name)}={escape(value)}" for name, value in options.items())
    url = f"{scheme}://{escape(userid)}:{escape(password)}@host/{escape(virtual_host)}?{query}"
    expected = Address(scheme, "host", DEFAULT_PORTS[scheme], userid, password, virtual_host, options)
    assert parse_one(url) == expected
    assert parse_url(url + ";" + url) == [expected, expected]
