"""Setting and deleting policies and operator policies (https://www.rabbitmq.com/docs/policies).

``by`` is who asks; the caller has seen to it that they may.
"""

from typing import TYPE_CHECKING

from hutch.fakebroker.engine.operator.policies import Definition
from hutch.fakebroker.engine.operator.policy_checks import make_policy
from hutch.fakebroker.engine.origin import Origin
from hutch.fakebroker.engine.unknown_names import missing

if TYPE_CHECKING:
    from hutch.fakebroker.engine.vhost import VHost


def set_policy(
    vhost: "VHost",
    by: Origin,
    name: str,
    pattern: str,
    definition: Definition,
    *,
    priority: float,
    apply_to: str,
    operator: bool,
) -> None:
    """Create or change a policy, or an operator policy, and have what is there go by it at once.

    Raises:
        InvalidPolicy: RabbitMQ refuses it.
        NotImplementedError: it is more than the emulator can do.
    """
    node, policies = vhost.node, vhost.policies
    policy = make_policy(
        node.profile, name, pattern, definition, priority=priority, apply_to=apply_to, operator=operator
    )
    (policies.operator if operator else policies.user)[name] = policy
    node.journal.policy_set(by, vhost.name, policy, operator)
    node.journal.policy_applied(by, vhost.name, policy, operator, policies.update())


def delete_policy(vhost: "VHost", by: Origin, name: str, *, operator: bool) -> None:
    """Delete a policy, or an operator policy.

    Raises:
        LookupError: there is no such policy.
    """
    node, policies = vhost.node, vhost.policies
    known = policies.operator if operator else policies.user
    if name not in known:
        kind = "operator policy" if operator else "policy"
        raise LookupError(missing(f"{kind} {name!r}", name, known))
    del known[name]
    node.journal.policy_deleted(by, vhost.name, name, operator)
    node.journal.policy_lifted(by, vhost.name, name, operator, policies.update())
