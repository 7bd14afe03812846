"""What versions of RabbitMQ differ in about definitions."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, eq=False)
class DefinitionsProfile:
    """The switches of :mod:`hutch.fakebroker.definitions`."""

    #: Whether a file describes itself, and has metadata and limits of virtual hosts (HTTP-DEFS-01, HTTP-DEFS-02).
    describes_itself: bool
    #: Whether a queue names its type (HTTP-DEFS-03).
    names_queue_types: bool
    #: Whether internal exchanges are exported (HTTP-DEFS-04).
    has_internal_exchanges: bool
    #: Whether bindings to exclusive queues are exported, although these queues are not (HTTP-DEFS-04).
    has_exclusive_bindings: bool
    #: Whether the identity of the cluster is exported among the global parameters (HTTP-PARAM-04).
    has_cluster_id: bool
    #: Whether topic permissions are imported before exchanges.
    imports_topics_first: bool
    #: Whether a queue without ``durable`` or ``auto_delete`` is refused (HTTP-DEFS-10).
    needs_queue_flags: bool
    #: Whether a binding with a missing end is refused, else skipped (HTTP-DEFS-13).
    refuses_loose_bindings: bool
    #: Whether a reason is printed as an Erlang term, else as JSON (HTTP-DEFS-14, HTTP-DEFS-21).
    prints_terms: bool


V3_10: Final = DefinitionsProfile(
    describes_itself=False,
    names_queue_types=False,
    has_internal_exchanges=True,
    has_exclusive_bindings=False,
    has_cluster_id=True,
    imports_topics_first=True,
    needs_queue_flags=True,
    refuses_loose_bindings=False,
    prints_terms=False,
)

V4_3: Final = DefinitionsProfile(
    describes_itself=True,
    names_queue_types=True,
    has_internal_exchanges=False,
    has_exclusive_bindings=True,
    has_cluster_id=False,
    imports_topics_first=False,
    needs_queue_flags=False,
    refuses_loose_bindings=True,
    prints_terms=True,
)
