"""Feature flags and deprecated features, attempts to log in (HTTP-EP-105 to HTTP-EP-113)."""

from typing import Any, Final

from hutch.fakebroker.engine.names import NODE_NAME
from hutch.fakebroker.management.access import Access
from hutch.fakebroker.management.call import Call
from hutch.fakebroker.management.errors import bad_request, object_not_found
from hutch.fakebroker.management.lists import Item
from hutch.fakebroker.management.routing import Route


def list_flags(call: Call) -> list[Item]:
    """The feature flags of the version, all of them enabled."""
    newer: dict[str, Any] = {}
    if call.profile.has_newer_paths:
        newer = {"callbacks": [], "require_level": "hard", "experiment_level": "supported"}
    return [
        {
            "name": name,
            "desc": "",
            "doc_url": "",
            "state": "enabled",
            "stability": "required" if call.profile.has_newer_paths else "stable",
            "provided_by": "rabbit",
            **newer,
        }
        for name in call.profile.feature_flags
    ]


def enable_flag(call: Call) -> None:
    """Nothing: it is enabled."""
    if call.names["F"] not in call.profile.feature_flags:
        raise bad_request("unsupported")


def list_deprecated(call: Call) -> list[Item]:
    """Those that the emulator can permit or deny."""
    return [
        {
            "name": name,
            "desc": "",
            "doc_url": "",
            "state": "permitted" if permitted else "denied",
            "deprecation_phase": "permitted_by_default" if by_default else "denied_by_default",
            "provided_by": "rabbit",
        }
        for name, permitted, by_default in (
            ("global_qos", call.hub.profile.shares_global_qos, False),
            ("queue_master_locator", call.node.profile.arguments.permits_master_locator, False),
            ("transient_nonexcl_queues", call.node.profile.topology.permits_transient_queues, True),
        )
    ]


def list_attempts(call: Call) -> list[Item]:
    """Attempts to log in, which RabbitMQ counts where it is told to."""
    if call.names["N"] != NODE_NAME:
        raise object_not_found()
    return []


def forget_attempts(call: Call) -> None:
    """Nothing: there is none."""
    list_attempts(call)


def list_none(_call: Call) -> list[Item]:
    """Nothing."""
    return []


def show_uaa(_call: Call) -> Item:
    """How 3.10's web page logs in: not by OAuth."""
    return {"enable_uaa": False, "uaa_client_id": "", "uaa_location": ""}


_ADMIN: Final = Access.ADMINISTRATOR
_MON: Final = Access.MONITORING
_ATTEMPTS: Final = {"GET": list_attempts, "DELETE": forget_attempts}

ROUTES: Final = (
    Route("feature-flags", {"GET": list_flags}, _ADMIN, newer=False),
    Route("feature-flags", {"GET": list_flags}, newer=True),
    Route("feature-flags/F/enable", {"PUT": enable_flag}, _ADMIN, json_only=True),
    Route("deprecated-features", {"GET": list_deprecated}, newer=True),
    Route("deprecated-features/used", {"GET": list_none}, newer=True),
    Route("auth", {"GET": show_uaa}, Access.PUBLIC, newer=False),
    Route("auth/attempts/N", _ATTEMPTS, _MON, newer=False),
    Route("auth/attempts/N", _ATTEMPTS, _MON, stricter={"DELETE": _ADMIN}, newer=True),
    Route("auth/attempts/N/source", _ATTEMPTS, _MON, newer=False),
    Route("auth/attempts/N/source", _ATTEMPTS, _MON, stricter={"DELETE": _ADMIN}, newer=True),
)
