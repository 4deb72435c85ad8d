"""`PresenceClient`, what users hold: one attribute per resource. No HTTP, no JSON."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import attrs

from presence_async.config import CallOptions, ClientConfig, Endpoints, ProxySettings
from presence_async.environment import options_from
from presence_async.many import ManyUsers
from presence_async.session import PresenceSession

if TYPE_CHECKING:
    import ssl as ssl_module
    from collections.abc import Mapping
    from typing import Self

    import aiohttp

    from presence_async.auth import OnRefreshToken
    from presence_async.config import Lane, Pacing
    from presence_async.grants import Auth
    from presence_async.hooks import Hook
    from presence_async.limiter import RateLimitStatus
    from presence_async.resources.system_presences import BuiltinIds

__all__ = ["PresenceClient"]

_USER_AGENT: Final = "presence_async"


class PresenceClient(ManyUsers):
    """Every presence operation of Genesys Cloud, awaited over one session.

        async with PresenceClient(region="us_east_1", auth=ClientCredentials(id, secret)) as client:
            presence = await client.user_presences.get(user_id)

    One client is one OAuth token, one connection pool and one request budget; make one and
    share it. It belongs to the event loop that entered it. Nothing is process-global.

    Attributes:
        definitions: Presence definitions, `/presence/definitions`.
        legacy_definitions: Their older form, `/presencedefinitions` (deprecated).
        system_presences: The built-in categories.
        user_presences: Presences of users, one or many.
        bulk: Bulk reads and updates.
        sources: Registered presence sources.
        settings: Presence settings of the organization.
        users: The organization's users.
        events: Presences from outside: registered sources and integrations.
        channels: Notification channels and their topics.
    """

    def __init__(
        self,
        *,
        auth: Auth,
        region: str | None = None,
        base_url: str | None = None,
        login_url: str | None = None,
        allow_loopback_http: bool = False,
        timeout: float = 150.0,
        max_wait: float = 90.0,
        retries: int = 3,
        lane: Lane | None = None,
        pacing: Pacing = "even",
        connect_timeout: float = 10.0,
        read_timeout: float = 30.0,
        pool_size: int = 100,
        keep_alive: float = 15.0,
        rate_limit: int = 300,
        polling_share: float = 0.8,
        max_response_bytes: int = 33_554_432,
        proxy: ProxySettings | str | None = None,
        ssl: ssl_module.SSLContext | None = None,
        session: aiohttp.ClientSession | None = None,
        hook: Hook | None = None,
        on_refresh_token: OnRefreshToken | None = None,
    ) -> None:
        """Check and keep the settings; nothing is opened before `async with`.

        Args:
            auth: How to get a token: `ClientCredentials`, `StaticToken`,
                `AuthorizationCode`, `AuthorizationCodePKCE`, `RefreshToken` or
                `Saml2Bearer`.
            region: Region key ("us_east_1", "us-east-1") or its domain ("mypurecloud.com").
            base_url: API base instead of a region: a gateway, a simulator. The token goes to
                exactly this origin.
            login_url: Login base beside `base_url`; not needed for StaticToken.
            allow_loopback_http: Lets the two be plain http, on this machine only.
            timeout: Seconds for a whole call: waiting, every attempt, every pause.
            max_wait: Longest single wait in seconds, for a permit or the vendor's Retry-After;
                beyond it RateLimitedError comes at once.
            retries: Attempts after the first.
            lane: Who goes first when the budget is short: "interactive", "bulk" or
                "polling". None: bulk for calls about many users, else interactive.
            pacing: "even" spreads calls about many users that ask for more than is left of
                the budget over the minute; with "burst" they use it up at once.
            connect_timeout: Seconds to open a connection: look-up, proxy and TLS included.
            read_timeout: Seconds without a byte of the answer.
            pool_size: Connections at most.
            keep_alive: Seconds an idle connection is kept.
            rate_limit: Requests a minute for the token (vendor default 300).
            polling_share: Part of them that the lane "polling" may use.
            max_response_bytes: Longest answer accepted, after decompression.
            proxy: An HTTP proxy; never taken from the environment.
            ssl: An SSLContext (private CA, client certificate) instead of the default.
            session: Your own `aiohttp.ClientSession`, which is not closed. Its connector's
                limits and TLS settings count then.
            hook: Called with a record of each request, attempt, wait and token refresh.
            on_refresh_token: Called with every new refresh token, to store it.

        Raises:
            ConfigurationError: Whatever of this cannot work, before anything is opened.
        """
        config = ClientConfig(
            endpoints=Endpoints.of(
                region=region,
                base_url=base_url,
                login_url=login_url,
                allow_loopback_http=allow_loopback_http,
            ),
            pool_size=pool_size,
            keep_alive=keep_alive,
            connect_timeout=connect_timeout,
            read_timeout=read_timeout,
            rate_limit=rate_limit,
            polling_share=polling_share,
            max_response_bytes=max_response_bytes,
            proxy=ProxySettings(proxy) if isinstance(proxy, str) else proxy,
            ssl=ssl,
        )
        options = CallOptions(timeout, max_wait, retries, lane, pacing)
        owned = PresenceSession(
            config,
            auth,
            user_agent=_USER_AGENT,
            hook=hook,
            on_refresh_token=on_refresh_token,
            http=session,
        )
        self._attach(owned, options, None, owner=True)

    def _attach(
        self,
        session: PresenceSession,
        options: CallOptions,
        builtin_ids: BuiltinIds | None,
        *,
        owner: bool,
    ) -> None:
        self._session = session
        self._options = options
        self._owner = owner
        # Models, converter and resources come with the first client and not with the
        # import of this class: that halves what we add to the import of aiohttp.
        from presence_async import resources  # noqa: PLC0415

        built = resources.build(
            partial(session.send, options=options),
            partial(session.send_in_turn, options=options),
            builtin_ids,
            session.adopt,
        )
        self.definitions = built.definitions
        self.legacy_definitions = built.legacy_definitions
        self.system_presences = built.system_presences
        self.user_presences = built.user_presences
        self.bulk = built.bulk
        self.sources = built.sources
        self.settings = built.settings
        self.users = built.users
        self.events = built.events
        self.channels = built.channels
        self._builtin_ids = built.system_presences.builtin_ids

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None, **options: Any) -> PresenceClient:
        """A client from the `GENESYSCLOUD_*` names that people have already.

        `…_REGION`; `…_ACCESS_TOKEN`, or `…_OAUTHCLIENT_ID` and `…_OAUTHCLIENT_SECRET`;
        `…_PROXY_HOST`, `_PORT`, `_PROTOCOL`, `_AUTH_USERNAME`, `_AUTH_PASSWORD`;
        `…_GATEWAY_HOST`, `_PORT`, `_PROTOCOL`, `_PATH_NAME`, `_PATH_VALUE`. Names and meanings
        are those of the vendor's Terraform provider.

        Args:
            environ: Read from here instead of `os.environ`.
            options: Arguments of the constructor; they win over the environment.

        Raises:
            ConfigurationError: A variable is missing or unusable; the message names it.
        """
        options = {name: value for name, value in options.items() if value is not None}
        found = options_from(os.environ if environ is None else environ, given=options.keys())
        return cls(**(found | options))

    def with_options(
        self,
        *,
        timeout: float | None = None,
        max_wait: float | None = None,
        retries: int | None = None,
        lane: Lane | None = None,
        pacing: Pacing | None = None,
    ) -> PresenceClient:
        """A client with other per-call options that shares this one's session.

        `client.with_options(timeout=5, retries=0)` is cheap; make one per purpose. It
        lives and closes with this client.

        Args:
            timeout: As in the constructor, like all of these; None changes nothing.
            max_wait: Longest single wait.
            retries: 0 turns retrying off.
            lane: Instead of the operations' own lanes.
            pacing: "even" or "burst".

        Raises:
            ConfigurationError: A value out of range.
        """
        changes: dict[str, Any] = {
            "timeout": timeout,
            "max_wait": max_wait,
            "retries": retries,
            "lane": lane,
            "pacing": pacing,
        }
        given = {name: value for name, value in changes.items() if value is not None}
        derived = object.__new__(type(self))
        options = attrs.evolve(self._options, **given)
        derived._attach(self._session, options, self._builtin_ids, owner=False)
        return derived

    @property
    def rate_limit(self) -> RateLimitStatus:
        """The request budget right now: what is left, who waits, when the next is free."""
        return self._session.rate_limit()

    async def __aenter__(self) -> Self:
        if self._owner:
            self._session.open()
        else:
            self._session.check_usable()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the session; safe to repeat.

        Every call in flight ends with ClosedError; no task, socket or timer is left. On a
        client from `with_options` it does nothing: who made the session closes it.
        """
        if self._owner:
            await self._session.aclose()

    def __repr__(self) -> str:
        # Also asked for in tracebacks with local variables, when __init__ raised.
        session = getattr(self, "_session", None)
        return f"<PresenceClient {'not made' if session is None else session.describe()}>"
