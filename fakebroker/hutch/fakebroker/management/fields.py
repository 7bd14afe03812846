"""Field tables in the bodies of requests (HTTP-PROTO-25)."""

from collections.abc import Mapping

from hutch.fakebroker.json_values import NullNotAllowed, table_of_json
from hutch.fakebroker.management.bodies import Body
from hutch.fakebroker.management.errors import bad_request, crash
from hutch.wire.fields import FieldError, FieldTable, write_table


def table(body: Body, key: str) -> FieldTable:
    """The field table that a key of a body has; ``[]`` is an empty one.

    Raises:
        Refusal: 400 or 500, it is none.
    """
    value = body.get(key, {})
    if value == []:
        return {}
    if not isinstance(value, Mapping):
        raise crash()
    try:
        found = table_of_json(value)
        write_table(found)
    except NullNotAllowed as error:
        raise bad_request(str(error)) from None
    except FieldError:  # a number of more than 64 bits, a name of more than 255 bytes
        raise crash() from None
    return found
