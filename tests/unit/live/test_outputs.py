"""What the machine says and wants."""

from presence_async.live.outputs import Gap, OpenSocket, Subscribe
from presence_async.secret import Secret


def test_a_gap_names_its_users_once():
    """Each user of the topics once, in order; other topics are of nobody."""
    topics = ("v2.users.b.presence", "v2.users.a?presence&activity", "v2.users.b.activity", "x.y")
    assert Gap(1.0, 2.0, topics).users == ("b", "a")


def test_commands_do_not_show_what_opens_a_socket():
    """Neither the address nor the id is in a log of commands."""
    commands = [
        OpenSocket(1, Secret("wss://h/canary")),
        Subscribe(2, "canary", ("t",), replace=False),
    ]
    assert "canary" not in repr(commands)
