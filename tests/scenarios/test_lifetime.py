"""From entering to closing: where a client can be used, and that closing leaves nothing."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import threading
import weakref
from typing import TYPE_CHECKING, Any

import pytest
import uvloop
from clock import ClockLoop, check_no_leftovers, leftovers
from rawserver import REPEATABLE, STALL, RawServer, ok, raw_client, send, until
from support import client_for

from presence_async import AuthorizationCode, ClosedError, PresenceClient, StaticToken
from presence_async.errors import PresenceError
from presence_async.simulator import Fault, Simulator

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine

GET = REPEATABLE["GET"]


async def turns(number: int = 50) -> None:
    """Let everything that can move do so, without letting time pass."""
    for _ in range(number):
        await asyncio.sleep(0)


def offline(**options: Any) -> PresenceClient:
    """A client that needs no server for what it is used for here."""
    return PresenceClient(region="us_east_1", auth=StaticToken("token"), **options)


# -- where it can be used


async def _call(client: PresenceClient) -> None:
    await client.user_presences.get("a")


async def _read_many(client: PresenceClient) -> None:
    await client.user_presences.get_many(["a"])


async def _budget(client: PresenceClient) -> None:
    assert client.rate_limit


USES = pytest.mark.parametrize("use", [_call, _read_many, _budget], ids=["call", "many", "budget"])


@USES
async def test_use_before_entering_is_refused(use: Callable[[PresenceClient], Any]) -> None:
    """A client that was never entered says how it is used."""
    with pytest.raises(ClosedError, match="not entered: use it inside `async with`"):
        await use(offline())


@USES
async def test_use_after_closing_is_refused(use: Callable[[PresenceClient], Any]) -> None:
    """A closed client says that it is closed, and so do clients derived from it."""
    async with offline() as client:
        derived = client.with_options(retries=0)
    for one in (client, derived):
        with pytest.raises(ClosedError, match="the client is closed"):
            await use(one)
    with pytest.raises(ClosedError, match="the client is closed"):
        async with derived:
            """Never entered."""


async def test_a_client_is_entered_once() -> None:
    """Entering again, open or closed, is refused and does not disturb what is open."""
    client = offline()
    async with client:
        with pytest.raises(ClosedError, match="is open; it is entered once"):
            await client.__aenter__()
        assert client.rate_limit.remaining == 300
    with pytest.raises(ClosedError, match="is closed; it is entered once"):
        await client.__aenter__()


async def test_closing_a_client_that_was_never_entered_closes_it() -> None:
    """It cannot be entered afterwards."""
    client = offline()
    await client.aclose()
    await client.aclose()
    with pytest.raises(ClosedError, match="is closed"):
        await client.__aenter__()


def _elsewhere(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine on another event loop, in a thread of its own."""
    result: list[Any] = []

    def main() -> None:
        try:
            result.append(asyncio.run(coroutine))
        except PresenceError as error:
            result.append(error)

    thread = threading.Thread(target=main)
    thread.start()
    thread.join()
    return result[0]


async def _close(client: PresenceClient) -> None:
    await client.aclose()


@pytest.mark.parametrize(
    "use", [_call, _read_many, _budget, _close], ids=["call", "many", "budget", "close"]
)
async def test_use_on_another_loop_is_refused(use: Callable[[PresenceClient], Any]) -> None:
    """A client belongs to the loop that entered it, and stays usable there."""
    async with offline() as client:
        error = _elsewhere(use(client))
        assert isinstance(error, ClosedError)
        assert "another event loop" in str(error)
        assert client.rate_limit.remaining == 300


async def test_reading_the_budget_outside_any_loop_is_refused() -> None:
    """A thread without a loop gets a clear error as well."""
    async with offline() as client:
        caught: list[BaseException] = []

        def look() -> None:
            try:
                assert client.rate_limit
            except ClosedError as error:
                caught.append(error)

        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
        assert "another event loop" in str(caught[0])


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # forking beside threads
async def test_use_after_a_fork_is_refused() -> None:
    """The child hears it for every use, its sockets stay shut; the parent goes on."""
    async with RawServer(ok()) as server, raw_client(server) as client:
        await send(client, GET)
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:  # pragma: no cover - the child's own process
            told = b""
            for use in (client._session.check_usable, client._session.rate_limit):
                try:
                    use()
                except ClosedError as error:
                    told += str(error).encode()
            os.write(writing, told)
            os._exit(0)
        os.close(writing)
        assert os.read(reading, 1000).count(b"opened before a fork; open one in this process") == 2
        os.close(reading)
        os.waitpid(child, 0)  # noqa: ASYNC222  # it has written its last word already
        assert (await send(client, GET)).status == 200
        assert server.connections == 1


# -- what closing wakes


async def _at_the_limiter(sim: Simulator, client: PresenceClient) -> None:
    client._session._limiter.pause(30)


async def _at_a_token(sim: Simulator, client: PresenceClient) -> None:
    sim.faults.add(Fault(route="POST /oauth/token", stall=True))


async def _at_a_token_being_tried_again(sim: Simulator, client: PresenceClient) -> None:
    client._session._keeper._chance = lambda: 0.9
    sim.faults.add(Fault(route="POST /oauth/token", status=503))


async def _at_a_pause(sim: Simulator, client: PresenceClient) -> None:
    sim.faults.add(Fault(route="GET /api/v2/users/me", status=503, retry_after=30, times=None))


async def _at_a_connection(sim: Simulator, client: PresenceClient) -> None:
    await client.user_presences.get(sim.user_ids[0])
    sim.faults.add(Fault(stall=True, times=None))
    asyncio.ensure_future(client.settings.get()).add_done_callback(lambda task: task.exception())


async def _at_an_answer(sim: Simulator, client: PresenceClient) -> None:
    sim.faults.add(Fault(route="GET /api/v2/users/me", stall=True))


async def _at_a_body(sim: Simulator, client: PresenceClient) -> None:
    half = b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"
    sim.faults.add(Fault(route="GET /api/v2/users/me", raw_answer=half, stall=True))


@pytest.mark.parametrize(
    "where",
    [
        _at_the_limiter,
        _at_a_token,
        _at_a_token_being_tried_again,
        _at_a_pause,
        _at_a_connection,
        _at_an_answer,
        _at_a_body,
    ],
)
async def test_closing_wakes_a_call_wherever_it_waits(
    sim: Simulator, where: Callable[[Simulator, PresenceClient], Awaitable[None]]
) -> None:
    """The call ends at once with ClosedError, and nothing of the client is left."""
    loop = asyncio.get_running_loop()
    client = client_for(sim, pool_size=1)
    await client.__aenter__()
    await where(sim, client)
    calls = [asyncio.ensure_future(client.users.me()) for _ in range(3)]
    await turns()
    if where is _at_a_token_being_tried_again:
        await asyncio.sleep(0.01)
    started = loop.time()
    assert not any(call.done() for call in calls)
    await client.aclose()
    assert loop.time() - started < 0.1
    for call in calls:
        assert call.done() or await asyncio.wait({call})
        error = call.exception()
        assert type(error) is ClosedError
        assert str(error).endswith("the client is closed")
        assert error.outcome_unknown is False
        assert not call.cancelled()
    await turns(3)
    await sim.aclose()
    check_no_leftovers(loop)


async def test_a_write_that_closing_interrupts_may_have_taken_effect(sim: Simulator) -> None:
    """A PATCH on its way ends with ClosedError that says so."""
    sim.faults.add(Fault(route="PATCH /api/v2/users/{userId}/presences/purecloud", stall=True))
    client = client_for(sim)
    await client.__aenter__()
    call = asyncio.ensure_future(client.user_presences.update(sim.user_ids[0], message="x"))
    await until(lambda: sim.count(None, "PATCH"))
    await client.aclose()
    with pytest.raises(ClosedError) as caught:
        await call
    assert caught.value.outcome_unknown


@pytest.mark.parametrize("consuming", [True, False], ids=["consumed", "forgotten"])
async def test_closing_ends_a_fan_out(sim: Simulator, consuming: bool) -> None:
    """Workers of a fan-out end with the client, whether or not somebody takes outcomes."""
    client = client_for(sim)
    await client.__aenter__()
    outcomes = client.user_presences.get_many(sim.user_ids, concurrency=2)
    await anext(outcomes)
    sim.faults.add(Fault(stall=True, times=None))

    async def consume() -> None:
        async for _ in outcomes:
            """Take them all."""

    consumer = asyncio.ensure_future(consume()) if consuming else None
    await turns()
    await client.aclose()
    if consumer is not None:
        with pytest.raises(ClosedError, match="the client is closed"):
            await consumer
    with pytest.raises(ClosedError, match="the client is closed"):
        await anext(outcomes)
    assert [task for task in leftovers() if "fan-out" in task.get_name()] == []


async def test_closing_again_and_at_once_is_harmless(sim: Simulator) -> None:
    """Whoever closes, when aclose returns nothing of the client is left."""
    client = client_for(sim)
    await client.__aenter__()
    sim.faults.add(Fault(stall=True, times=None))
    call = asyncio.ensure_future(client.users.me())
    await turns()

    async def close() -> list[Any]:
        await client.aclose()
        return [*client._session._calls._calls, *client._session._transport._connector._alive]  # type: ignore[union-attr]

    assert await asyncio.gather(*[close() for _ in range(5)]) == [[]] * 5
    assert await close() == []
    with pytest.raises(ClosedError):
        await call


async def test_closing_that_is_cancelled_still_closes(sim: Simulator) -> None:
    """A cancelled aclose gives up waiting, not closing."""
    loop = asyncio.get_running_loop()
    client = client_for(sim)
    await client.__aenter__()
    sim.faults.add(Fault(stall=True, times=None))
    call = asyncio.ensure_future(client.users.me())
    await turns()
    closing = asyncio.ensure_future(client.aclose())
    await asyncio.sleep(0)
    closing.cancel()
    await asyncio.wait({closing, call})
    assert isinstance(call.exception(), ClosedError)
    await client.aclose()
    await turns(3)
    await sim.aclose()
    check_no_leftovers(loop)


async def test_an_abandoned_client_is_no_cycle_that_keeps_itself_alive() -> None:
    """A closed client is freed when its last name goes, after one collection."""
    async with offline() as client:
        gone = weakref.ref(client._session)
    del client
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize(
    ("factory", "eager"),
    [(uvloop.new_event_loop, False), (asyncio.SelectorEventLoop, False), (ClockLoop, True)],
    ids=["uvloop", "asyncio", "eager tasks"],
)
def test_the_whole_life_on_other_loops(factory: Any, eager: bool) -> None:
    """Login, calls, fan-out, an interrupted call and closing work on each kind of loop."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        if eager and sys.version_info >= (3, 12):
            loop.set_task_factory(asyncio.eager_task_factory)
        before = set(asyncio.all_tasks())
        async with Simulator(users=60) as sim:
            client = client_for(sim)
            async with client:
                outcomes = await client.user_presences.get_many(sim.user_ids)
                assert {outcome.status for outcome in outcomes} == {"present"}
                sim.faults.add(Fault(stall=True))
                call = asyncio.ensure_future(client.users.me())
                await until(lambda: sim.count("/api/v2/users/me"))
            with pytest.raises(ClosedError):
                await call
        await turns(3)
        assert asyncio.all_tasks() == before

    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main())


async def _ids(closing: Callable[[], Awaitable[None]]) -> AsyncIterator[str]:
    yield "a"
    await closing()
    yield "b"


async def test_a_source_of_ids_may_close_the_client(sim: Simulator) -> None:
    """Closing from inside a fan-out's own source ends everything instead of waiting for itself."""
    client = client_for(sim)
    await client.__aenter__()
    async with asyncio.timeout(5):
        with pytest.raises(ClosedError):
            await client.user_presences.get_many(_ids(client.aclose), concurrency=1)
    await client.aclose()


async def test_a_token_callback_may_close_the_client(sim: Simulator) -> None:
    """Closing from inside on_refresh_token ends the call instead of waiting for itself."""
    code = sim.issue_code(sim.client_id, sim.user_ids[0], "https://app.test/")
    auth = AuthorizationCode(sim.client_id, sim.client_secret, code, "https://app.test/")
    client = client_for(sim, auth=auth, on_refresh_token=lambda _: client.aclose())
    await client.__aenter__()
    async with asyncio.timeout(5):
        with pytest.raises(ClosedError):
            await client.users.me()
    await client.aclose()


async def test_a_stalled_server_does_not_delay_closing() -> None:
    """Closing resets connections instead of waiting for the other side."""
    loop = asyncio.get_running_loop()
    async with RawServer(STALL) as server:
        client = raw_client(server)
        await client.__aenter__()
        calls = [asyncio.ensure_future(send(client, GET)) for _ in range(30)]
        await until(lambda: len(server.requests) == 30)
        started = loop.time()
        await client.aclose()
        assert loop.time() == pytest.approx(started, abs=0.05)
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert {type(result) for result in results} == {ClosedError}
