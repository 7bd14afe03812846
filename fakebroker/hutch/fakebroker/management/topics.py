"""The paths of all topics."""

from typing import Final

from hutch.fakebroker.management import (
    bindings,
    connections,
    consumers,
    definitions,
    double,
    exchanges,
    faults,
    features,
    health,
    overview,
    parameters,
    permissions,
    policies,
    publishing,
    queues,
    replicas,
    users,
    vhosts,
)

ROUTES: Final = (
    *overview.ROUTES,
    *queues.ROUTES,
    *replicas.ROUTES,
    *publishing.ROUTES,
    *exchanges.ROUTES,
    *bindings.ROUTES,
    *vhosts.ROUTES,
    *users.ROUTES,
    *permissions.ROUTES,
    *policies.ROUTES,
    *parameters.ROUTES,
    *connections.ROUTES,
    *consumers.ROUTES,
    *definitions.ROUTES,
    *double.ROUTES,
    *faults.ROUTES,
    *health.ROUTES,
    *features.ROUTES,
)
