"""The session alone: its states, what it owns, how it ends."""

from __future__ import annotations

from typing import Any

import pytest
from rawserver import (
    ONCE,
    REPEATABLE,
    ok,
)

from presence_async import ClientCredentials, Secret, StaticToken
from presence_async.config import CallOptions, ClientConfig, Endpoints
from presence_async.errors import (
    ClosedError,
    ConfigurationError,
    PresenceError,
)
from presence_async.session import PresenceSession
from presence_async.wire import Request

GET, PATCH = REPEATABLE["GET"], ONCE["PATCH"]
UNAVAILABLE = ok(b"", status="503 Unavailable")
EXPIRED = ok(b"", status="401 Expired")


def session_for(api: str, login: str | None = None, auth: Any = None, **options: Any) -> Any:
    """A session that is not open yet."""
    config = ClientConfig(endpoints=Endpoints(api, login))
    return PresenceSession(config, auth or StaticToken("token"), user_agent="agent", **options)


async def ask(session: PresenceSession, **options: Any) -> Any:
    """One GET."""
    return await session.send(Request(GET, "/x"), CallOptions(**options))


# -- states


def test_a_grant_that_logs_in_needs_somewhere_to_log_in() -> None:
    """Only a static token does without a login host."""
    with pytest.raises(ConfigurationError, match="login_url"):
        session_for("https://api.test", None, ClientCredentials("id", "secret"))
    assert session_for("https://api.test").describe() == "https://api.test not entered"


async def test_the_states_in_their_order() -> None:
    """Not entered, open, closed; what is used or opened out of order says which it is."""
    session = session_for("https://api.test")
    with pytest.raises(ClosedError, match="not entered: use it inside"):
        await ask(session)
    session.open()
    assert session.describe().endswith("open")
    with pytest.raises(ClosedError, match="is open; it is entered once"):
        session.open()
    await session.aclose()
    await session.aclose()
    assert session.describe().endswith("closed")
    with pytest.raises(ClosedError, match="is closed"):
        session.adopt(_Adopted())


class _Adopted:
    """Something that notes why it ended."""

    reason: PresenceError | None = None

    async def abort(self, reason: PresenceError) -> None:
        """Note the reason."""
        self.reason = reason


async def test_what_is_adopted_ends_with_the_session() -> None:
    """It is aborted when it still lives, and not kept alive by the session."""
    session = session_for("https://api.test")
    session.open()
    kept, dropped = _Adopted(), _Adopted()
    session.adopt(kept)
    session.adopt(dropped)
    del dropped
    assert len(session._adopted) == 1
    await session.aclose()
    assert isinstance(kept.reason, ClosedError)


async def test_a_failing_abort_does_not_keep_the_rest_open() -> None:
    """Transport and token keeper close although something adopted raised."""

    class Broken(_Adopted):
        async def abort(self, reason: PresenceError) -> None:
            raise ZeroDivisionError

    session = session_for("https://api.test")
    session.open()
    broken = Broken()
    session.adopt(broken)
    with pytest.raises(ZeroDivisionError):
        await session.aclose()
    assert session._transport._session.closed
    await session.aclose()


async def test_a_forked_process_is_told_apart() -> None:
    """A session that another process opened is refused (with a real fork: test_lifetime)."""
    session = session_for("https://api.test")
    session.open()
    own = session._pid, session._loop
    # In a child no loop is running, least of all that of the parent.
    session._pid, session._loop = -1, None
    with pytest.raises(ClosedError, match="opened before a fork; open one in this process"):
        await ask(session)
    session._pid, session._loop = own
    await session.aclose()


async def test_a_socket_is_opened_where_it_is_admitted_only() -> None:
    """Within the domain of the API, and by an open session."""
    session = session_for("https://api.mypurecloud.com")
    good, bad = Secret("wss://streaming.mypurecloud.com/x"), Secret("wss://elsewhere.test/x")
    assert session.admits_socket(good)
    assert not session.admits_socket(bad)
    with pytest.raises(ClosedError):
        await session.open_socket(good)
    session.open()
    with pytest.raises(ConfigurationError, match="outside its domain"):
        await session.open_socket(bad)
    opened: list[Any] = []

    async def open_socket(*args: Any) -> str:
        opened.append(args)
        return "socket"

    session._transport.open_socket = open_socket
    assert await session.open_socket(good) == "socket"
    assert opened == [(good, {"User-Agent": "agent"})]
    adopted = _Adopted()
    session.adopt(adopted)
    assert session.adopted == (adopted,)
    await session.aclose()
