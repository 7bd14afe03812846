"""Definitions, whole and of one virtual host (HTTP-DEFS)."""

import email.message
import email.parser
from typing import Final

from hutch.fakebroker.definitions.exporting import export_all, export_vhost
from hutch.fakebroker.definitions.importing import import_all, import_vhost, read_definitions
from hutch.fakebroker.definitions.refusals import InvalidDefinitions
from hutch.fakebroker.management.access import Access
from hutch.fakebroker.management.call import Call
from hutch.fakebroker.management.errors import JSON, Refusal, bad_request, compact, crash, not_found
from hutch.fakebroker.management.lists import Item
from hutch.fakebroker.management.messages import Response
from hutch.fakebroker.management.routing import Route


def _answer(call: Call, definitions: Item) -> Response | Item:
    """Definitions, as a file to download if that is asked for (HTTP-DEFS-06)."""
    name = call.query.get("download")
    if name is None:
        return definitions
    if not name.isprintable():
        raise Refusal(400)
    disposition = ("content-disposition", f"attachment; filename={name}")
    return Response(200, compact(definitions), (*JSON, disposition))


def export(call: Call) -> Response | Item:
    """Those of the broker."""
    return _answer(call, export_all(call.node, call.versions))


def export_one(call: Call) -> Response | Item:
    """Those of a virtual host."""
    vhost = call.node.vhosts.get(call.names["V"])
    if vhost is None:
        raise bad_request("vhost_not_found")
    return _answer(call, export_vhost(vhost, call.versions))


def load(call: Call) -> None:
    """Import definitions into the broker."""
    document = _document(call)
    with _Refusing():
        import_all(call.node, call.versions, call.origin, document)


def load_one(call: Call) -> None:
    """Import definitions into a virtual host."""
    vhost = call.node.vhosts.get(call.names["V"])
    if vhost is None:
        raise not_found("vhost_not_found")
    document = _document(call)
    with _Refusing():
        import_vhost(vhost, call.versions, call.origin, document)


class _Refusing:
    """A context that makes a refusal of wrong definitions the answer."""

    def __enter__(self) -> None: ...

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, InvalidDefinitions):
            raise crash() if error.crashes else bad_request(error.reason) from None


def _document(call: Call) -> Item:
    body = call.request.body
    if body is None:
        raise bad_request("Exceeded HTTP request body size limit")
    match call.request.media_type:
        case "application/json":
            pass
        case "multipart/form-data":
            body = _file(call.request.headers["content-type"], body)
        case _:
            raise Refusal(415)
    with _Refusing():
        return read_definitions(body)


def _file(kind: str, body: bytes) -> bytes:
    """The part ``file`` of a form (HTTP-DEFS-23)."""
    head = f"Content-Type: {kind}\r\n\r\n".encode("latin-1")
    parsed = email.parser.BytesParser().parsebytes(head + body)
    for part in parsed.walk():
        if isinstance(part, email.message.Message) and part.get_param("name", header="content-disposition") == "file":
            content = part.get_payload(decode=True)
            return content if isinstance(content, bytes) else b""
    raise bad_request("failed_to_parse_json")


_ADMIN: Final = Access.ADMINISTRATOR

ROUTES: Final = (
    Route("definitions", {"GET": export, "POST": load}, _ADMIN, reads_json=False),
    Route("all-configuration", {"GET": export, "POST": load}, _ADMIN, reads_json=False),
    Route("definitions/V", {"GET": export_one, "POST": load_one}, _ADMIN, any_vhost=True, reads_json=False),
)
