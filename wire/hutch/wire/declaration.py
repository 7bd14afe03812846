"""How a method is declared: a class whose annotations are its fields. Encoders and decoders are derived from that.

``methods.py`` holds the declarations; nothing else knows a method's layout.
"""

from struct import Struct
from struct import error as StructError
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Final, NamedTuple, Self, dataclass_transform

from hutch.wire.fields import FieldTable, TruncatedField, read_table, write_table
from hutch.wire.frames import END, METHOD

Octet = Annotated[int, "octet"]
Short = Annotated[int, "short"]
Long = Annotated[int, "long"]
LongLong = Annotated[int, "longlong"]
Bit = Annotated[bool, "bit"]
ShortStr = Annotated[str, "shortstr"]
LongStr = Annotated[bytes, "longstr"]
Table = Annotated[FieldTable, "table"]

EMPTY_TABLE: Final[FieldTable] = MappingProxyType({})


class MethodDecodeError(ValueError):
    """Arguments that do not fill their method exactly. ``arguments`` is the bytes behind the method's two ids."""

    def __init__(self, method: "type[Method]", arguments: bytes) -> None:
        super().__init__(f"cannot decode the arguments of {method.NAME}: {arguments!r}")
        self.method = method
        self.arguments = arguments


class MalformedShortStr(ValueError):
    """A short string that is not UTF-8."""


@dataclass_transform()
class Method:
    """Base of every AMQP method.

    A subclass names its ids and declares its fields, in wire order, as annotations whose types are those above::

        class QueuePurge(Method, ids=(50, 30), replies=("QueuePurgeOk",)):
            ticket: Short = 0
            queue: ShortStr = ""
            nowait: Bit = False

    Class attributes:
        CLASS_ID, METHOD_ID: the two ids. ID: both in one ``int``, the class in the upper 16 bits.
        NAME: as the spec writes it, ``queue.purge``.
        FIELDS: the names of the fields, in wire order. TABLES: those of them that are field tables.
        REPLIES: names of the methods that answer it; empty for one that nobody answers.
        CONTENT: whether a content header and body follow.
        CLIENT, SERVER: whether a client, or a server, may send it.
    """

    CLASS_ID: ClassVar[int]
    METHOD_ID: ClassVar[int]
    ID: ClassVar[int]
    NAME: ClassVar[str]
    FIELDS: ClassVar[tuple[str, ...]]
    TABLES: ClassVar[tuple[str, ...]]
    REPLIES: ClassVar[tuple[str, ...]]
    CONTENT: ClassVar[bool]
    CLIENT: ClassVar[bool]
    SERVER: ClassVar[bool]

    def __init_subclass__(
        cls,
        ids: tuple[int, int],
        replies: tuple[str, ...] = (),
        content: bool = False,
        sent_by: str = "client",
    ) -> None:
        cls.CLASS_ID, cls.METHOD_ID = ids
        cls.ID = ids[0] << 16 | ids[1]
        cls.NAME = _spec_name(cls.__name__)
        kinds = {name: hint.__metadata__[0] for name, hint in cls.__annotations__.items()}
        cls.FIELDS = tuple(kinds)
        cls.TABLES = tuple(name for name, kind in kinds.items() if kind == "table")
        cls.REPLIES = replies
        cls.CONTENT = content
        cls.CLIENT = sent_by in {"client", "both"}
        cls.SERVER = sent_by in {"server", "both"}
        _specialise(cls, kinds)
        METHODS[cls.ID] = _BY_IDS[cls.ID.to_bytes(4)] = cls

    def encode(self) -> bytes:
        """The payload of a method frame: both ids, then the arguments.

        Raises:
            ValueError: a short string of more than 255 bytes, or a number too large for its field.
        """
        raise TypeError("Method itself is not on the wire")

    def frame(self, channel: int) -> bytes:
        """The method's frame, which :meth:`encode`'s bytes are the payload of.

        Raises:
            ValueError: as :meth:`encode`.
        """
        raise TypeError(f"channel {channel}: Method itself is not on the wire")

    @classmethod
    def decode(cls, payload: bytes, offset: int = 4) -> Self:
        """The method whose arguments begin at ``offset`` of a frame's payload.

        Raises:
            MethodDecodeError: arguments cut short, or bytes left over behind them.
            MalformedShortStr: a short string that is not UTF-8.
            UnknownFieldType: a field table with a type tag that RabbitMQ does not know.
        """
        raise TypeError(f"{payload!r} at {offset}: Method itself is not on the wire")

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self.FIELDS)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)!r}' for name in self.FIELDS)})"


#: All methods, by ``ID``.
METHODS: Final[dict[int, type[Method]]] = {}
#: All methods, by the four bytes at the start of their payload.
_BY_IDS: Final[dict[bytes, type[Method]]] = {}


def decode_method(payload: bytes) -> Method:
    """The method that a method frame's payload holds.

    Raises:
        KeyError: no method has these ids; its argument is them in one ``int``.
        TruncatedField: the payload is too short for two ids.
        MethodDecodeError, MalformedShortStr, UnknownFieldType: as :meth:`Method.decode`.
    """
    try:
        kind = _BY_IDS[payload[:4]]
    except KeyError:
        if len(payload) < 4:
            raise TruncatedField("a method frame holds two ids at least") from None
        raise KeyError(int.from_bytes(payload[:4])) from None
    return kind.decode(payload)


def _spec_name(class_name: str) -> str:
    parts: list[str] = []
    for letter in class_name:
        if letter.isupper():
            parts.append("")
        parts[-1] += letter.lower()
    return parts[0] + "." + "-".join(parts[1:])


_FIXED = {"octet": "B", "short": "H", "long": "I", "longlong": "Q"}


def _shortstr(value: str) -> bytes:
    if value == "":
        return b"\0"
    raw = value.encode()
    size = len(raw)
    if size > 255:
        raise ValueError(f"a short string holds 255 bytes at most, not {size}: {value[:40]!r}...")
    return bytes((size,)) + raw


def _longstr(value: bytes) -> bytes:
    return len(value).to_bytes(4) + value


def _read_shortstr(payload: bytes, offset: int) -> tuple[str, int]:
    """The string, and the offset behind it, which is past the end of the payload if some of the string is missing."""
    size = payload[offset]
    start = offset + 1
    if not size:
        return "", start
    end = start + size
    try:
        return payload[start:end].decode(), end
    except UnicodeDecodeError as error:
        if end > len(payload):
            raise IndexError from None
        raise MalformedShortStr(str(error)) from None


def _read_longstr(payload: bytes, offset: int) -> tuple[bytes, int]:
    start = offset + 4
    if start > len(payload):
        raise IndexError
    end = start + int.from_bytes(payload[offset:start])
    if end > len(payload):
        raise IndexError
    return payload[start:end], end


def _specialise(cls: type[Method], kinds: dict[str, str]) -> None:
    """Write ``__init__``, ``encode``, ``frame`` and ``decode`` for one declaration, as straight-line code.

    Neighbouring bits share an octet, as the spec packs them, and neighbouring numbers and octets one ``struct`` call.
    """
    names: dict[str, Any] = {
        "cls": cls,
        "shortstr": _shortstr,
        "longstr": _longstr,
        "table": write_table,
        "read_shortstr": _read_shortstr,
        "read_longstr": _read_longstr,
        "read_table": read_table,
        "kinds": kinds,
        "misfit": _misfit,
        "StructError": StructError,
        "TruncatedField": TruncatedField,
        "MethodDecodeError": MethodDecodeError,
    }
    # Fields before the first string or table are packed together with the ids and the frame's prefix.
    head = ""
    values = [str(cls.ID)]
    writes: list[str] = []
    reads: list[str] = []
    for run in _runs(kinds):
        kind = kinds[run[0]]
        if kind in _FIXED or kind == "bit":
            numbers = _numbers(run, kinds)
            codes = "".join(number.code for number in numbers)
            packed = [number.value for number in numbers]
            layout = Struct(">" + codes)
            unpack = f"unpack{len(names)}"
            names[unpack] = layout.unpack_from
            unpacked = "payload[offset]," if codes == "B" else f"{unpack}(payload, offset)"
            reads.append(f"{', '.join(number.target for number in numbers)}, = {unpacked}; offset += {layout.size}")
            reads += [line for number in numbers for line in number.bits]
            if run[0] == cls.FIELDS[0]:
                head = codes
                values += packed
            elif kind == "bit" and len(numbers) == 1:
                writes.append(f"bytes(({packed[0]},))")
            else:
                pack = f"pack{len(names)}"
                names[pack] = layout.pack
                writes.append(f"{pack}({', '.join(packed)})")
        else:
            (name,) = run
            writes.append(f"{kind}(self.{name})")
            reads.append(f"self.{name}, offset = read_{kind}(payload, offset)")
    rest = " + ".join(writes)
    payload_head, frame_head = Struct(f">I{head}"), Struct(f">BHII{head}" + ("" if rest else "B"))
    names["payload_head"], names["frame_head"] = payload_head.pack, frame_head.pack
    fields = ", ".join(values)
    if rest:
        payload = f"payload_head({fields}) + {rest}"
        begin = f"frame_head({METHOD}, channel, {payload_head.size} + len(rest), {fields})"
        frame = [f"rest = {rest}", f"return {begin} + rest + {bytes((END,))!r}"]
    else:
        payload = f"payload_head({fields})"
        frame = [f"return frame_head({METHOD}, channel, {payload_head.size}, {fields}, {END})"]
    defaults = [f"{name}=cls.{name}" if name in cls.__dict__ else name for name in kinds]
    source = "\n".join(
        [
            f"def __init__({', '.join(['self', *defaults])}):",
            *([f"    self.{name} = {name}" for name in kinds] or ["    pass"]),
            "def encode(self):",
            "    try:",
            f"        return {payload}",
            "    except StructError:",
            "        raise misfit(self, kinds) from None",
            "def frame(self, channel):",
            "    try:",
            *[f"        {line}" for line in frame],
            "    except StructError:",
            "        raise misfit(self, kinds) from None",
            "def decode(cls, payload, offset=4):",
            "    self = cls.__new__(cls)",
            "    start = offset",
            "    try:",
            *[f"        {line}" for line in reads or ["pass"]],
            "    except (IndexError, StructError, TruncatedField):",
            "        offset = -1",
            "    if offset != len(payload):",
            "        raise MethodDecodeError(cls, payload[start:])",
            "    return self",
        ]
    )
    exec(source, names)  # the source is built above from declared names only
    cls.__init__ = names["__init__"]  # type: ignore[method-assign]
    cls.encode = names["encode"]  # type: ignore[method-assign]
    cls.frame = names["frame"]  # type: ignore[method-assign]
    cls.decode = classmethod(names["decode"])  # type: ignore[assignment]


class _Number(NamedTuple):
    """A number of a ``struct`` call: its code there, what is packed, where it is unpacked to, and what is done then."""

    code: str
    value: str
    target: str
    bits: tuple[str, ...] = ()


def _numbers(run: list[str], kinds: dict[str, str]) -> list[_Number]:
    """A run of numbers and bits as numbers: up to eight neighbouring bits are an octet."""
    numbers: list[_Number] = []
    octet: list[str] = []
    for name, following in zip(run, [*run[1:], ""], strict=True):
        if kinds[name] in _FIXED:
            numbers.append(_Number(_FIXED[kinds[name]], f"self.{name}", f"self.{name}"))
            continue
        octet.append(name)
        if kinds.get(following) != "bit" or len(octet) == 8:
            value = " | ".join(f"bool(self.{bit}) << {place}" for place, bit in enumerate(octet))
            target = f"bits{len(numbers)}"
            bits = tuple(f"self.{bit} = {target} & {1 << place} != 0" for place, bit in enumerate(octet))
            numbers.append(_Number("B", value, target, bits))
            octet = []
    return numbers


def _misfit(method: Method, kinds: dict[str, str]) -> ValueError:
    """The error that names the number that ``struct`` could not pack."""
    for name, kind in kinds.items():
        value = getattr(method, name)
        if kind in _FIXED and not (isinstance(value, int) and 0 <= value < 256 ** Struct(_FIXED[kind]).size):
            return ValueError(f"{method.NAME}: {name}={value!r} does not fit its wire type, {kind}")
    return ValueError(f"{method!r} cannot be encoded")


def _runs(kinds: dict[str, str]) -> list[list[str]]:
    """The fields in order, neighbouring numbers and bits in one list."""
    runs: list[list[str]] = []
    for name, kind in kinds.items():
        if runs and all(each in _FIXED or each == "bit" for each in (kind, kinds[runs[-1][-1]])):
            runs[-1].append(name)
        else:
            runs.append([name])
    return runs
