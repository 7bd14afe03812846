"""The OpenAPI document of what hutch adds to RabbitMQ's API."""

from typing import Any, Final

_JSON: Final = "application/json"
_EVENT: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["number", "at", "kind"],
    "properties": {
        "number": {"type": "integer", "description": "counts the events, from 0 on"},
        "at": {"type": "number", "description": "seconds on the broker's clock"},
        "kind": {"type": "string", "description": "what happened: published, delivered, acked ..."},
        "vhost": {"type": "string"},
        "queue": {"type": "string"},
        "exchange": {"type": "string"},
        "routed_to": {"type": "array", "items": {"type": "string"}},
        "reason": {"type": "string"},
        "user": {"type": "string"},
        "connection": {"type": "string"},
        "channel": {"type": "integer"},
        "message": {
            "type": "object",
            "properties": {
                "number": {"type": "integer"},
                "exchange": {"type": "string"},
                "routing_key": {"type": "string"},
                "properties": {"type": "object"},
                "payload": {"type": "string"},
                "payload_encoding": {"type": "string", "enum": ["string", "base64"]},
                "payload_bytes": {"type": "integer"},
            },
        },
    },
}
_CLOCK: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "monotonic": {"type": "number", "description": "seconds, for spans"},
        "time": {"type": "number", "description": "seconds since 1970"},
        "manual": {"type": "boolean", "description": "whether it stands still unless it is advanced"},
    },
}
_FAULT: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "id": {"type": "integer", "description": "its number, until all faults are removed"},
        "text": {"type": "string", "description": "the rule, as Python says it"},
        "hits": {"type": "integer", "description": "how often it has happened"},
        "matches": {"type": "integer", "description": "how many commands or connections it was for"},
        "over": {"type": "boolean", "description": "whether it can happen no more"},
    },
}
_TEXT: Final = {"type": "string"}
_COUNT: Final = {"type": "integer", "minimum": 1}
_RULE: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["action"],
    "additionalProperties": False,
    "properties": {
        "match": {"enum": ["on", "next", "connections", "connecting"], "default": "on"},
        "method": {"type": "string", "description": "basic.publish ...; for on and next"},
        "nth": _COUNT,
        "times": _COUNT,
        "seconds": {"type": "number", "exclusiveMinimum": 0},
        **dict.fromkeys(("connection", "user", "client", "vhost", "exchange", "queue", "routing_key"), _TEXT),
        "action": {"type": "string", "description": "what happens: close_channel, delay ..."},
        "arguments": {"type": "object", "description": "the arguments of the action, by their names"},
    },
}
_ID: Final[dict[str, Any]] = {"name": "ID", "in": "path", "required": True, "schema": {"type": "integer"}}
_NAME: Final[dict[str, Any]] = {"name": "NAME", "in": "path", "required": True, "schema": {"type": "string"}}
_ASKED: Final[list[dict[str, Any]]] = [
    {"name": "since", "in": "query", "schema": {"type": "integer"}, "description": "number of the first event"},
    {"name": "kind", "in": "query", "schema": {"type": "string"}, "description": "kinds, with commas between them"},
]


def _answer(description: str, kind: str | None = None, schema: object = None) -> dict[str, Any]:
    return {"description": description, **({} if kind is None else {"content": {kind: {"schema": schema}}})}


def _operation(summary: str, status: int, answer: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"summary": summary, **more, "responses": {str(status): answer}}


_NO_BODY: Final = _answer("done")

DOCUMENT: Final[dict[str, Any]] = {
    "openapi": "3.1.0",
    "info": {
        "title": "hutch",
        "version": "0.1.0",
        "description": "What hutch adds to RabbitMQ's management API. All of it is for administrators.",
    },
    "servers": [{"url": "/api"}],
    "security": [{"basic": []}],
    "components": {
        "securitySchemes": {"basic": {"type": "http", "scheme": "basic"}},
        "schemas": {"Event": _EVENT, "Clock": _CLOCK, "Fault": _FAULT, "Rule": _RULE},
    },
    "paths": {
        "/hutch/history": {
            "get": _operation(
                "The events so far, a line of JSON each",
                200,
                _answer("lines", "application/x-ndjson", {"$ref": "#/components/schemas/Event"}),
                parameters=_ASKED,
            ),
            "delete": _operation("Forget all events", 204, _NO_BODY),
        },
        "/hutch/history/stream": {
            "get": _operation(
                "The events so far and those to come, as server-sent events",
                200,
                _answer("a stream without an end", "text/event-stream", {"type": "string"}),
                parameters=_ASKED,
            )
        },
        "/hutch/clock": {
            "get": _operation(
                "The broker's time", 200, _answer("the time", _JSON, {"$ref": "#/components/schemas/Clock"})
            )
        },
        "/hutch/clock/advance": {
            "post": _operation(
                "Move a clock that stands still, and do what falls due",
                200,
                _answer("the time", _JSON, {"$ref": "#/components/schemas/Clock"}),
                requestBody={
                    "required": True,
                    "content": {
                        _JSON: {
                            "schema": {
                                "type": "object",
                                "required": ["seconds"],
                                "properties": {"seconds": {"type": "number", "minimum": 0}},
                            }
                        }
                    },
                },
            )
        },
        "/hutch/reset": {"post": _operation("Have the broker as it was made", 204, _NO_BODY)},
        "/hutch/snapshots": {
            "get": _operation(
                "The snapshots",
                200,
                _answer("names", _JSON, {"type": "array", "items": {"properties": {"name": {"type": "string"}}}}),
            )
        },
        "/hutch/snapshots/{NAME}": {
            "put": _operation("Keep the state under a name", 201, _NO_BODY, parameters=[_NAME]),
            "delete": _operation("Forget a state", 204, _NO_BODY, parameters=[_NAME]),
        },
        "/hutch/snapshots/{NAME}/restore": {"post": _operation("Return to a state", 204, _NO_BODY, parameters=[_NAME])},
        "/hutch/faults": {
            "get": _operation(
                "The faults, oldest first",
                200,
                _answer("faults", _JSON, {"type": "array", "items": {"$ref": "#/components/schemas/Fault"}}),
            ),
            "post": _operation(
                "Have a fault from now on",
                201,
                _answer("the fault", _JSON, {"$ref": "#/components/schemas/Fault"}),
                requestBody={
                    "required": True,
                    "content": {_JSON: {"schema": {"$ref": "#/components/schemas/Rule"}}},
                },
            ),
            "delete": _operation("End all faults, and forget them", 204, _NO_BODY),
        },
        "/hutch/faults/{ID}": {
            "get": _operation(
                "One fault, with its hits",
                200,
                _answer("it", _JSON, {"$ref": "#/components/schemas/Fault"}),
                parameters=[_ID],
            ),
            "delete": _operation("End a fault; it is still listed", 204, _NO_BODY, parameters=[_ID]),
        },
        "/hutch/openapi.json": {
            "get": _operation("This document", 200, _answer("it", _JSON, {"type": "object"}), security=[])
        },
    },
}
