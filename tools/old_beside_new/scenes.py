"""Scenes: operations in a row that belong together. Drawn one by one they would hardly ever meet."""

from collections.abc import Callable
from random import Random
from typing import Any, Final

from hutch.conformance.differential.operations import (
    USER,
    USERS_OWN,
    Administer,
    Advance,
    Operation,
    Place,
    Publish,
    Restart,
    Settle,
)
from hutch.conformance.differential.replies import ALIASES, PSEUDO
from hutch.conformance.differential.vocabulary import EXCHANGES, QUEUES
from hutch.wire import methods as wire
from hutch.wire.fields import FieldTable
from old_beside_new.oddities import PASSWORD, Due, Oddity
from old_beside_new.scene import CLASSIC, STREAMS, TYPED, Scene

#: Types of exchanges, and the words that keys are made of there.
_TOPICS: Final = ("topic", ("a", "b", "*", "#"))
_KINDS: Final = (
    *(_TOPICS, _TOPICS, ("direct", ("a", "b")), ("fanout", ("a",)), ("headers", ("", "a")), ("headers", ("",))),
    *(("x-consistent-hash", ("1", "2", "3")), ("x-modulus-hash", ("a", "b", "1", "2"))),
    *(("x-random", ("a",)), ("x-recent-history", ("a", "b"))),
)
#: What policies ask for; of some keys, operator policies may, too.
_DEFINITIONS: Final[tuple[dict[str, Any], ...]] = (
    *({"max-length": 2}, {"message-ttl": 100}, {"expires": 500}, {"max-length-bytes": 50}, {"delivery-limit": 1}),
    *({"max-length": 1, "overflow": "reject-publish"}, {"consumer-timeout": 1000}, {"dead-letter-exchange": "x1"}),
    {"dead-letter-exchange": "", "dead-letter-routing-key": "q1", "max-length": 1},
    {"dead-letter-exchange": "", "dead-letter-strategy": "at-least-once", "overflow": "reject-publish"},
    *(
        {"delayed-retry-type": kind, "delayed-retry-min": 100, "delayed-retry-max": most}
        for kind in ("all", "failed", "returned")
        for most in (150, 1000)
    ),
)
_QUORUM_KEYS: Final = frozenset({"delivery-limit", "consumer-timeout", "dead-letter-strategy", "delayed-retry-type"})
_NUMBERS: Final = frozenset({"max-length", "message-ttl", "expires", "max-length-bytes"})


def _consuming(scene: Scene) -> list[Operation]:
    count = scene.random.randrange(4)
    return [
        *scene.declared(*TYPED),
        scene.call(wire.ConfirmSelect()),
        *(scene.call(wire.BasicQos(prefetch_count=count), place) for place in (scene.place, scene.other)),
        scene.consumer("s1"),
        *scene.published(3),
        scene.consumer("s2", scene.other, {"x-priority": 5}),
        *scene.settled(3),
        *scene.published(2),
        *scene.settled(2),
        scene.call(wire.BasicCancel("s1")),
        scene.consumer("s1"),
        *scene.settled(2),
        *scene.published(4),
        scene.call(wire.BasicRecover(requeue=True)),
    ]


def _sharing(scene: Scene) -> list[Operation]:
    random = scene.random
    queues = random.sample(QUEUES, 2)
    consumers = [
        scene.call(wire.BasicConsume(queue=random.choice(queues), consumer_tag=f"s{number}")) for number in range(4)
    ]
    sent = [
        Publish(scene.other, wire.BasicPublish(routing_key=random.choice(queues)), {"delivery_mode": 2})
        for _ in range(10)
    ]
    limits = [wire.BasicQos(prefetch_count=random.randrange(4), global_=True) for _ in range(2)]
    return [
        *(scene.call(wire.QueueDelete(queue=queue)) for queue in queues),
        *(scene.call(wire.QueueDeclare(queue=queue, arguments=random.choice(CLASSIC[:2]))) for queue in queues),
        scene.call(limits[0]),
        *random.choice(([*consumers, *sent], [*sent, *consumers])),
        *scene.settled(4),
        scene.call(limits[1]),
        *scene.settled(4),
        scene.call(wire.BasicCancel("s1")),
        *scene.settled(2),
    ]


def _routing(scene: Scene) -> list[Operation]:
    random = scene.random
    kind, words = random.choice(_KINDS)
    exchange, other = random.sample(EXCHANGES, 2)

    def key() -> str:
        return ".".join(random.choice(words) for _ in range(random.randrange(1, 4 if "#" in words else 2)))

    def table() -> FieldTable:
        values = {name: random.choice((1, "1", True)) for name in "ab" if random.random() < 0.5}
        return {**({"x-match": random.choice(("all", "any"))} if kind == "headers" else {}), **values}

    bindings = [
        wire.QueueBind(queue=random.choice(QUEUES), exchange=exchange, routing_key=key(), arguments=table())
        for _ in range(5)
    ]
    fields = {name: getattr(bindings[0], name) for name in ("queue", "exchange", "routing_key", "arguments")}
    sent = [
        Publish(
            scene.place,
            wire.BasicPublish(exchange=exchange, routing_key=key(), mandatory=True),
            {"headers": {**table(), **random.choice(({}, {"CC": [key()]}, {"BCC": [key()]}))}},
        )
        for _ in range(8)
    ]
    alternate: FieldTable = {"alternate-exchange": other} if random.random() < 0.5 else {}
    destination, source = random.choice(((other, exchange), (other, exchange), (exchange, exchange), (exchange, other)))
    bound = [
        *map(scene.call, bindings),
        scene.call(wire.ExchangeBind(destination=destination, source=source, routing_key=key())),
    ]
    return [
        scene.call(wire.ExchangeDelete(exchange=exchange)),
        *(scene.call(wire.QueueDeclare(queue=queue, durable=True)) for queue in QUEUES[:2]),
        scene.call(wire.QueueBind(queue=QUEUES[0], exchange=other, routing_key="a")),
        scene.call(wire.ExchangeDeclare(exchange=exchange, type=kind, arguments=alternate)),
        *random.choice(([*bound, *sent[:5]], [*sent[:5], *bound], [*sent[:5], bound[-1]])),
        scene.call(wire.QueueUnbind(**fields)),
        *sent[5:],
    ]


def _transaction(scene: Scene) -> list[Operation]:
    place = Place(scene.place.connection, 2)
    end = scene.random.choice((wire.TxCommit(), wire.TxCommit(), wire.TxRollback()))
    away: list[Operation] = [scene.call(wire.QueueDelete(queue=scene.queue), scene.other)]
    scene.place = place
    return [
        *scene.declared(*TYPED),
        *scene.published(3),
        scene.call(wire.TxSelect()),
        *(scene.call(wire.BasicGet(queue=scene.queue)) for _ in range(2)),
        scene.consumer("s1"),
        *scene.settled(2),
        *(Publish(place, wire.BasicPublish(routing_key=key, mandatory=True), {}, 5) for key in (scene.queue, "none")),
        Publish(place, wire.BasicPublish(exchange=scene.random.choice(EXCHANGES), routing_key="a"), {}, 5),
        *(away if scene.random.random() < 0.3 else []),
        scene.call(end),
        *scene.settled(2),
        scene.call(wire.TxCommit()),
    ]


def _reply(scene: Scene) -> list[Operation]:
    alias = scene.random.choice(ALIASES)
    asked: list[wire.Method] = [
        wire.QueueDeclare(queue=alias, passive=True),
        wire.QueueBind(queue=alias, exchange="amq.direct", routing_key="a"),
        wire.BasicGet(queue=alias),
        wire.BasicConsume(queue=alias, no_ack=True),
        wire.QueueDelete(queue=alias),
    ]
    return [
        *scene.declared({}),
        scene.call(wire.BasicConsume(queue=PSEUDO, consumer_tag="answers", no_ack=True)),
        Publish(scene.place, wire.BasicPublish(routing_key=scene.queue), {"reply_to": PSEUDO, "correlation_id": "c"}),
        scene.call(wire.BasicGet(queue=scene.queue, no_ack=True), scene.other),
        *(Publish(scene.other, wire.BasicPublish(routing_key=alias, mandatory=True), {}, 5) for alias in ALIASES),
        *(scene.call(method, scene.other) for method in scene.random.sample(asked, 2)),
        Publish(scene.other, wire.BasicPublish(routing_key=f"{PSEUDO}.x"), {}),
    ]


def _credit(scene: Scene) -> list[Operation]:
    random = scene.random
    granted: FieldTable = {"credit": random.randrange(3), "drain": random.random() < 0.5}
    beginning: FieldTable = {"x-credit": granted} if random.random() < 0.5 else {}
    return [
        *scene.declared(*TYPED),
        scene.call(wire.BasicQos(prefetch_count=2)),
        *scene.published(random.randrange(4)),
        scene.consumer("c", arguments=beginning),
        scene.call(wire.BasicCredit("c", random.randrange(4), random.random() < 0.3)),
        *scene.published(2),
        *scene.settled(2),
        scene.call(wire.BasicCredit("c", 2, random.random() < 0.3)),
        *scene.settled(2),
    ]


def _stream(scene: Scene) -> list[Operation]:
    random = scene.random
    offset = random.choice(("first", "last", "next", 0, 3, 8, "1h"))
    filters: FieldTable = {"x-stream-filter": "a"} if random.random() < 0.5 else {}
    return [
        *scene.declared(*({"x-queue-type": "stream", **table} for table in STREAMS)),
        scene.call(wire.BasicQos(prefetch_count=5)),
        *scene.published(6, headers={"x-stream-filter-value": random.choice(("a", "b"))}),
        Advance(random.choice((500, 3000, 60000))),
        scene.consumer("s", arguments={"x-stream-offset": offset, **filters}),
        *scene.published(4),
        *scene.settled(3),
        Advance(random.choice((500, 70000))),
        *scene.published(2),
        *scene.settled(2),
    ]


def _restart(scene: Scene) -> list[Operation]:
    return [
        *scene.declared(*TYPED),
        scene.call(wire.QueueBind(queue=scene.queue, exchange="amq.topic", routing_key="#")),
        *scene.published(4),
        Publish(scene.place, wire.BasicPublish(exchange="amq.topic", routing_key="a"), {}, 5),
        scene.call(wire.BasicGet(queue=scene.queue)),
        scene.call(wire.BasicQos(prefetch_count=2)),
        scene.consumer("s"),
        *scene.settled(1),
        Restart() if scene.random.random() < 0.5 else Administer("restart", {"downtime": 0.3}),
        *(scene.call(wire.BasicGet(queue=scene.queue)) for _ in range(3)),
        *scene.published(1),
    ]


def _timeout(scene: Scene) -> list[Oddity]:
    return [
        *scene.declared(*TYPED),
        *scene.published(2),
        scene.consumer("s"),
        *(Due(0) for _ in range(4)),
        *scene.settled(2),
    ]


def _policies(scene: Scene) -> list[Oddity]:
    random = scene.random
    verbs = random.choice((("set_policy",), ("set_policy", "set_operator_policy")))
    one, other = random.choice(_DEFINITIONS), random.choice(_DEFINITIONS)
    definitions = [one, {**other, **{key: random.choice((1, 2, 60)) for key in one.keys() & _NUMBERS}}]
    set_: list[Oddity] = [
        Administer(verb, {"name": "p", "pattern": f"^{scene.queue}$", "definition": definition, "priority": 9})
        for verb, definition in zip(verbs, definitions, strict=False)
    ]
    concerned = TYPED if one.keys().isdisjoint(_QUORUM_KEYS) else [{"x-queue-type": "quorum"}]
    return [
        *scene.declared(*concerned),
        *scene.published(2),
        *set_,
        *scene.published(3),
        scene.call(wire.BasicQos(prefetch_count=2)),
        scene.consumer("s"),
        *(each for _ in range(4) for each in (*scene.settled(1), Due(0))),
        Administer("delete_policy", {"name": "p"}),
        Administer("delete_operator_policy", {"name": "p"}),
        *scene.published(2),
    ]


def _keeping(scene: Scene) -> list[Oddity]:
    random = scene.random
    limit: FieldTable = random.choice(({"x-max-length": 1}, {"x-max-length": 2}, {"x-max-length-bytes": 50}))
    key: FieldTable = {"x-dead-letter-routing-key": random.choice(QUEUES)} if random.random() < 0.4 else {}
    method = wire.BasicPublish(routing_key=scene.queue)

    def sent() -> list[Operation]:
        expiration: dict[str, Any] = {"expiration": random.choice(("1", "100"))} if random.random() < 0.2 else {}
        return [Publish(scene.place, method, expiration, random.choice((5, 100)))]

    def died() -> list[Oddity]:
        get = scene.call(wire.BasicGet(queue=scene.queue, no_ack=random.random() < 0.2))
        return [*sent(), get, Settle(scene.place, "reject", 0, requeue=False), *random.choice(([], [Due(0)]))]

    return [
        *scene.declared(
            {
                "x-queue-type": "quorum",
                "x-dead-letter-strategy": "at-least-once",
                "x-overflow": "reject-publish",
                "x-dead-letter-exchange": "",
                **limit,
                **key,
            }
        ),
        scene.call(wire.ConfirmSelect()),
        *(each for _ in range(5) for each in died()),
        *(Publish(scene.other, method, {}, 5) for _ in range(2)),
    ]


def _alarm(scene: Scene) -> list[Oddity]:
    resources = scene.random.choice((["memory"], ["disk"], ["memory", "disk"], ["disk", "memory"]))
    return [
        *(Administer("raise_alarm", {"resource": resource}) for resource in resources),
        *scene.published(3),
        scene.call(wire.BasicGet(queue=scene.queue)),
        *scene.settled(1),
        Due(0),
        *(Administer("clear_alarm", {"resource": resource}) for resource in resources),
    ]


def _stopped(scene: Scene) -> list[Oddity]:
    return [Administer("stop", {}), *scene.published(1), Due(0), Administer("start", {})]


def _deleted_user(scene: Scene) -> list[Oddity]:
    return [
        Administer("delete_user", {"name": USER}),
        scene.call(wire.BasicGet(queue=scene.queue), Place(USERS_OWN, 1)),
        Administer("add_user", {"name": USER, "password": PASSWORD}),
        Administer("set_permissions", {"user": USER}),
    ]


def _delayed(scene: Scene) -> list[Oddity]:
    kind = scene.random.choice(("topic", "fanout", "direct"))
    delays = [scene.random.choice((0, 100, 300, 300)) for _ in range(4)]
    method = wire.BasicPublish(exchange="x3", routing_key="a", mandatory=True)
    return [
        scene.call(wire.ExchangeDelete(exchange="x3")),
        scene.call(wire.ExchangeDeclare(exchange="x3", type="x-delayed-message", arguments={"x-delayed-type": kind})),
        scene.call(wire.QueueBind(queue=scene.queue, exchange="x3", routing_key="a")),
        *(Publish(scene.place, method, {"headers": {"x-delay": delay}}, 5) for delay in delays),
        *(Due(0) for _ in range(2)),
        scene.call(wire.BasicGet(queue=scene.queue)),
    ]


def _listening(scene: Scene) -> list[Oddity]:
    exchange = scene.random.choice(("amq.rabbitmq.event", "amq.rabbitmq.trace"))
    return [
        scene.call(wire.QueueDeclare(queue="told", arguments={"x-max-length": 30})),
        scene.call(wire.QueueBind(queue="told", exchange=exchange, routing_key="#")),
        scene.call(wire.BasicConsume(queue="told", consumer_tag="told", no_ack=True)),
        Administer("trace_on", {}),
    ]


_SCENES: Final[tuple[Callable[[Scene], list[Any]], ...]] = (
    *(_consuming, _consuming, _consuming, _routing, _routing, _routing, _transaction, _policies, _policies),
    *(_keeping, _sharing, _reply, _credit, _stream, _restart, _timeout, _alarm, _stopped, _deleted_user, _delayed),
    _listening,
)


def scenes(random: Random) -> Callable[[], list[Oddity]]:
    """A function that draws scenes of a few kinds. A script draws the same kinds again and again, so that they meet."""
    kinds = random.choices(_SCENES, k=3)
    return lambda: random.choice(kinds)(Scene(random))
