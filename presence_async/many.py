"""What a client offers about many users: loader, poll, stream, live store, forecast."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Iterable, Sized

    from presence_async.config import CallOptions
    from presence_async.forecast import SweepForecast
    from presence_async.live.store import PresenceStore
    from presence_async.live.stream import PresenceStream
    from presence_async.resources.coalescing import CoalescedReads
    from presence_async.resources.polling import PresencePoll
    from presence_async.session import PresenceSession


class ManyUsers:
    """The part of `PresenceClient` that is about many users; nobody makes one by itself."""

    _session: PresenceSession
    _options: CallOptions

    def coalesced(
        self, *, source: str = "purecloud", linger: float = 0.005, concurrency: int = 16
    ) -> CoalescedReads:
        """A loader: single reads made at the same time share bulk requests of up to fifty.

            async with client.coalesced() as reads:
                ...  # anywhere in the service, in any number of tasks:
                presence = await reads.get(user_id)

        Args:
            source: "purecloud" or an ad hoc source name. Without a bulk read: user by user.
            linger: Seconds for which a request that is not full waits for more users.
            concurrency: Requests in flight at most.

        Raises:
            InvalidRequestError: An argument that is none of these.
        """
        # Each comes with its first use, so that the import of a client stays short.
        from presence_async.resources.coalescing import CoalescedReads  # noqa: PLC0415  # as above

        send = partial(self._session.send, options=self._options)
        return CoalescedReads(
            send, self._session.adopt, source=source, linger=linger, concurrency=concurrency
        )

    def poll(
        self,
        ids: Iterable[str] | AsyncIterable[str],
        *,
        interval: float,
        source: str = "purecloud",
        concurrency: int = 16,
    ) -> PresencePoll:
        """Everybody's presence now, and from then on what changes, until you stop.

            async with client.poll(ids, interval=120) as poll:
                async for change in poll:
                    print(change.user_id, change.kind, change.after)

        Its lane is polling, unless `with_options` says otherwise: docs/high-volume.md.

        Args:
            ids: User ids, a million at most; an async iterable is read to its end first.
            interval: Seconds from the start of one sweep to that of the next. `forecast`
                tells which can be had.
            source: "purecloud" or an ad hoc source name.
            concurrency: Requests in flight at most.

        Returns:
            An async iterator of `PresenceChange`; users who cannot be read are "stale". It
            raises `ClosedError`, `AuthenticationError` or `PermissionDeniedError` that lasts,
            and what `ids` raises. Everything else it outlives.

        Raises:
            InvalidRequestError: An argument that is none of these; `field` names it.
        """
        from presence_async.resources.polling import PresencePoll  # noqa: PLC0415  # as above

        options = attrs.evolve(self._options, lane=self._options.lane or "polling")
        return PresencePoll(
            partial(self._session.send_in_turn, options=options),
            self._session.adopt,
            ids=ids,
            interval=interval,
            source=source,
            concurrency=concurrency,
            forecast=partial(self.forecast, concurrency=concurrency),
        )

    def stream(self, user_ids: Iterable[str] = (), *, topics: Iterable[str] = ()) -> PresenceStream:
        """Presences as they change, over notification channels: 20,000 users at most.

            async with client.stream(user_ids) as stream:
                async for event in stream:
                    ...  # a notification, or a Gap: read event.users now

        It reconnects by itself and costs next to no requests: docs/live.md.

        Args:
            user_ids: User ids, for the presence of each.
            topics: Names of other topics (`user_topic` makes them), combined ones as well.

        Returns:
            An async iterator of events. It raises what nothing helps against, and ClosedError.

        Raises:
            InvalidRequestError: An argument that is none of these, or too many.
        """
        from presence_async.live.stream import PresenceStream  # noqa: PLC0415  # as above

        send = partial(self._session.send, options=self._options)
        return PresenceStream(self._session, send, user_ids=user_ids, topics=topics)

    def live(
        self,
        user_ids: Iterable[str] = (),
        *,
        notifications: bool = True,
        interval: float | None = None,
        reconcile: float | None = 3600.0,
        concurrency: int = 16,
    ) -> PresenceStore:
        """A map of who is in which presence that keeps itself right, for up to 20,000 users.

            async with client.live(user_ids) as live:
                await live.ready()
                print(live[user_id].system_presence, live.counts())

        Fed by notifications, and by bulk reads after every gap; by polling where these are
        refused. Reads are in lane bulk, sweeps in lane polling: docs/live.md.

        Args:
            user_ids: User ids.
            notifications: False polls from the start, any number of users.
            interval: Seconds from one sweep of polling to the next; None for the shortest the
                forecast allows, but at least 10.
            reconcile: Seconds from one reconciling sweep to the next, or None for none.
            concurrency: Requests in flight at most.

        Raises:
            InvalidRequestError: An argument that is none of these, or too many users.
        """
        from presence_async.live.store import PresenceStore  # noqa: PLC0415  # as above

        lanes = (self._options.lane or lane for lane in ("bulk", "polling"))
        due, idle = (attrs.evolve(self._options, lane=lane) for lane in lanes)
        return PresenceStore(
            self._session,
            (
                partial(self._session.send, options=self._options),
                partial(self._session.send_in_turn, options=due),
                partial(self._session.send_in_turn, options=idle),
            ),
            user_ids=user_ids,
            notifications=notifications,
            interval=interval,
            reconcile=reconcile,
            concurrency=concurrency,
            forecast=partial(self.forecast, concurrency=concurrency),
        )

    def forecast(
        self, users: int | Sized, interval: float | None = None, *, concurrency: int = 16
    ) -> SweepForecast:
        """What it takes to read or update users in bulk, once or again and again.

            print(client.forecast(20_000, interval=120))

        Nothing is sent. The lane is the client's, else bulk for one sweep, and polling with its
        share where there is an interval.

        Args:
            users: Their number, or a collection of them.
            interval: Seconds from the start of one sweep to that of the next.
            concurrency: Requests in flight at most.


        Raises:
            InvalidRequestError: An argument that is none of these; `field` names it.
        """
        lane = self._options.lane or ("bulk" if interval is None else "polling")
        options = attrs.evolve(self._options, lane=lane)
        return self._session.forecast(users, interval, options, concurrency)
