"""What versions of RabbitMQ differ in about users, permissions and limits."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, eq=False)
class AccessProfile:
    """The switches of :mod:`hutch.fakebroker.engine.access` and of actors."""

    #: Whether a refusal names the missing permission (PERM-01).
    names_refused_permission: bool
    #: Whether a passive declare needs a permission (PERM-03).
    passive_needs_permission: bool
    #: Whether topic permissions need an existing exchange, and are deleted with it (PERM-12).
    topic_permissions_need_exchange: bool
    #: Whether names that replace variables in a topic permission are literal text, else regular expressions.
    escapes_topic_variables: bool
    #: Whether the refusal has the limit of a user's channels in brackets (CONN-CHAN-03).
    brackets_channel_limit: bool
    #: Whether operators' regular expressions are PCRE2, else PCRE, whose error texts differ.
    has_pcre2: bool


V3_10: Final = AccessProfile(
    names_refused_permission=False,
    passive_needs_permission=False,
    topic_permissions_need_exchange=False,
    escapes_topic_variables=False,
    brackets_channel_limit=True,
    has_pcre2=False,
)

V4_3: Final = AccessProfile(
    names_refused_permission=True,
    passive_needs_permission=True,
    topic_permissions_need_exchange=True,
    escapes_topic_variables=True,
    brackets_channel_limit=False,
    has_pcre2=True,
)
