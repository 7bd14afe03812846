"""What an operator does to connections: closing them, deleting their user or virtual host (CONN-AUTH, CONN-CLOSE)."""

from hutch.conformance.case import case
from hutch.conformance.check import equal, true
from hutch.conformance.rabbit import Rabbit
from hutch.conformance.raw import RawConnection
from hutch.wire import methods as amqp


def _refused_to_open(raw: RawConnection, vhost: str, text: str) -> None:
    raw.start()
    raw.log_in()
    raw.tune()
    raw.send_method(amqp.ConnectionOpen(vhost))
    raw.expect_close(530, text, (10, 40))


@case("CONN-OPEN-03")
def a_user_without_permissions(rabbit: Rabbit) -> None:
    """A user who has no permissions in a virtual host is refused with 530. Permissions in another virtual host make no
    difference.
    """
    user, elsewhere = rabbit.admin.add_user(), rabbit.admin.add_vhost()
    text = f"access to vhost '{rabbit.vhost}' refused for user '{user}'"
    _refused_to_open(rabbit.raw_unopened(user), rabbit.vhost, text)
    rabbit.admin.set_permissions(user, vhost=elsewhere)
    _refused_to_open(rabbit.raw_unopened(user), rabbit.vhost, text)
    rabbit.admin.set_permissions(user)
    rabbit.raw(user).expect_alive()
    rabbit.admin.clear_permissions(user)
    _refused_to_open(rabbit.raw_unopened(user), rabbit.vhost, text)


@case("CONN-CLOSE-07", "CHAN-16")
def an_operator_closes_a_connection(rabbit: Rabbit) -> None:
    """A connection that an operator closes gets 320, with the operator's reason if there is one.

    (One user each, because RabbitMQ lists a connection for a while after its end: five seconds with TLS.)
    """
    user, other = rabbit.admin.add_permitted_user(), rabbit.admin.add_permitted_user()
    raw = rabbit.raw(user)
    rabbit.admin.close_connections(user)
    raw.expect_close(320, "Closed via management plugin", (0, 0))
    raw.expect_gone()
    another = rabbit.raw(other)
    rabbit.admin.close_connections(other, "maintenance")
    another.expect_close(320, "maintenance", (0, 0))


@case("CONN-AUTH-15", "PERM-13")
def a_deleted_user(rabbit: Rabbit) -> None:
    """The connections of a user that is deleted are closed with 320; the user cannot log in again."""
    user = rabbit.admin.add_permitted_user()
    raw = rabbit.raw(user)
    rabbit.admin.delete_user(user)
    raw.expect_close(320, f"user '{user}' is deleted", (0, 0))
    raw.expect_gone()
    again = rabbit.raw_unopened(user)
    again.start()
    again.log_in()
    equal(again.expect(amqp.ConnectionClose).reply_code, 403)


@case("CONN-CLOSE-08", "CONSUME-19")
def a_deleted_vhost(rabbit: Rabbit) -> None:
    """A virtual host that is deleted is gone: its consumers are cancelled, then the connections to it closed with 320.

    (Which of two texts the close has is a race in RabbitMQ: mostly not the catalogue's.)
    """
    vhost = rabbit.admin.add_vhost()
    raw = rabbit.raw(virtual_host=vhost)
    channel = raw.channel()
    channel.call(amqp.QueueDeclare(queue="q"))
    channel.call(amqp.BasicConsume(queue="q", consumer_tag="tag"))
    rabbit.admin.delete_vhost(vhost)
    equal(channel.read(), amqp.BasicCancel("tag", nowait=True))
    close = raw.expect(amqp.ConnectionClose)
    equal((close.reply_code, close.class_id, close.method_id), (320, 0, 0))
    texts = [f"CONNECTION_FORCED - vhost '{vhost}' is {state}" for state in ("deleted", "down")]
    true(close.reply_text in texts, f"unexpected {close!r}")
    _refused_to_open(rabbit.raw_unopened(), vhost, f"vhost {vhost} not found")
