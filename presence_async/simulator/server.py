"""`Simulator`: the vendor in a box, on local ports."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from itertools import islice
from typing import TYPE_CHECKING, Any

import attrs

from presence_async.simulator.api import Api, RateLimiter, WindowKind
from presence_async.simulator.channels import Channels
from presence_async.simulator.checks import number, one_of, whole
from presence_async.simulator.events import Broadcast
from presence_async.simulator.faults import FaultPlan
from presence_async.simulator.identity import secret_for, uuid_for
from presence_async.simulator.login import TOKEN_TEMPLATE, Login
from presence_async.simulator.oauth import Authority, Code, OAuthClient
from presence_async.simulator.organization import Organization
from presence_async.simulator.ports import Ports, is_loopback
from presence_async.simulator.recorder import RecordedRequest, Recorder, RouteCount
from presence_async.simulator.services import ALL_PERMISSIONS
from presence_async.simulator.streaming import Streaming
from presence_async.simulator.switches import Switches

if TYPE_CHECKING:
    import ssl
    from collections import deque
    from collections.abc import Callable, Iterable
    from typing import Self

_log = logging.getLogger("presence_async.simulator")
ANNOUNCED_USERS = 100
_PORT = whole(0, 65535)


def _text(value: str | None) -> str:
    return value or ""


def _switches(value: Switches | None) -> Switches:
    if value is not None and not isinstance(value, Switches):
        raise TypeError(f"switches must be Switches, not {type(value).__name__}")
    return value or Switches()


def _loop_time() -> float:
    return asyncio.get_running_loop().time()


@attrs.define(kw_only=True, eq=False, repr=False, slots=False)
class Simulator:
    """Genesys Cloud's Presence API, its login server and its event streams, in this process.

    An async context manager. It keeps to what the vendor's SDKs, pages and recorded answers
    show, and imports nothing from the client, so that the two can contradict each other.

    Args:
        users: How many users to generate, the same for the same seed.
        seed: Decides all ids, names, tokens and chances.
        rate_limit: Requests a minute of one token; None turns every limit per minute off.
        day_limit: Requests a day of one token, as single services have them; None for none.
        rate_window: `rolling`, or `fixed` to full minutes (and days) of the loop's clock.
        token_lifetime: Seconds a token lives.
        client_id, client_secret: Of the built-in OAuth client; by default from the seed.
        host: Address to listen on; beyond loopback it warns, for its secrets are none.
        port, login_port, streaming_port: Ports of the API, of the login server and of the
            sockets of notification channels; 0 for any.
        wall_clock: Seconds since 1970, for the dates on the wire. Everything relative
            follows the running loop's `time()`.
        permissions: Permissions of the built-in client; by default all.
        ssl_context: Serve https with it.
        path_prefix, login_path_prefix: API and login server sit behind them, as behind a gateway.
        one_port: Both services share the API's port, as behind a gateway.
        event_delay: Seconds from a change to its events, or a callable returning them.
        event_loss: Chance of an event being lost on its way to a connected socket.
        socket_lifetime: Seconds until a socket gets its closing notice, followed by the close
            a minute later; None for never.
        switches: The vendor's unknown habits.
        history: How many requests `requests` keeps.

    Attributes:
        organization: The state, for assertions and direct changes, which raise events.
        channels: The notification channels, for assertions.
        sockets: Their sockets, to be looked at and disturbed.
        broadcast: What carries events to them; counts what was `delivered` and `lost`.
        faults: The scripted failures.
        routes: The names of all routes, method and template, as faults and counts have them.
    """

    users: int = attrs.field(default=50, validator=whole(0))
    seed: int = attrs.field(default=0, validator=whole(-math.inf))
    rate_limit: int | None = attrs.field(default=300, validator=whole(1, optional=True))
    day_limit: int | None = attrs.field(default=None, validator=whole(1, optional=True))
    rate_window: WindowKind = attrs.field(default="rolling", validator=one_of("rolling", "fixed"))
    token_lifetime: float = attrs.field(default=86400, validator=number(0))
    client_id: str = attrs.field(default=None, converter=_text)
    client_secret: str = attrs.field(default=None, converter=_text)
    host: str = "127.0.0.1"
    port: int = attrs.field(default=0, validator=_PORT)
    login_port: int = attrs.field(default=0, validator=_PORT)
    streaming_port: int = attrs.field(default=0, validator=_PORT)
    wall_clock: Callable[[], float] = time.time
    permissions: Iterable[str] | None = None
    ssl_context: ssl.SSLContext | None = None
    path_prefix: str = ""
    login_path_prefix: str = ""
    one_port: bool = attrs.field(default=False, validator=one_of(True, False))
    event_delay: float | Callable[[], float] = attrs.field(
        default=0.05, validator=number(0, called=True)
    )
    event_loss: float = attrs.field(default=0.0, validator=number(0, 1))
    socket_lifetime: float | None = attrs.field(default=None, validator=number(0, optional=True))
    switches: Switches = attrs.field(default=None, converter=_switches)
    history: int = attrs.field(default=10_000, validator=whole(0))

    def __attrs_post_init__(self) -> None:
        """Build everything; nothing is open yet."""
        self._check_texts()
        if self.one_port and self.login_port:
            raise ValueError("with one_port there is no login_port")
        self.client_id = self.client_id or uuid_for(self.seed, "client", 0)
        self.client_secret = self.client_secret or secret_for(self.seed, "client", 0)
        self.organization = Organization(
            users=self.users,
            seed=self.seed,
            switches=self.switches,
            wall_clock=self.wall_clock,
            monotonic=_loop_time,
        )
        self._recorder = Recorder(self.history, _loop_time)
        self._authority = Authority(self.seed, self.token_lifetime, self.switches, _loop_time)
        self.add_client(self.client_id, self.client_secret, permissions=self.permissions)
        self._build_notifications()
        self._build_ports()

    def _check_texts(self) -> None:
        if not isinstance(self.host, str) or not self.host:
            raise ValueError(f"host must be an address, not {self.host!r}")
        if ":" in self.client_id:  # it would end there in a Basic header
            raise ValueError("client_id must not contain a colon")
        for name in ("path_prefix", "login_path_prefix"):
            prefix = getattr(self, name)
            if prefix and not prefix.startswith("/"):
                raise ValueError(f"{name} must start with a slash, not be {prefix!r}")

    def _build_notifications(self) -> None:
        self.channels = Channels(
            seed=self.seed,
            switches=self.switches,
            clock=_loop_time,
            wall_clock=self.wall_clock,
            address=lambda: self.streaming_url,
        )
        self.broadcast = Broadcast(
            organization=self.organization,
            channels=self.channels,
            delay=self.event_delay,
            loss=self.event_loss,
            seed=self.seed,
        )
        self.sockets = Streaming(
            channels=self.channels,
            switches=self.switches,
            lifetime=self.socket_lifetime,
        )

    def _build_ports(self) -> None:
        prefixes = self.path_prefix.rstrip("/"), self.login_path_prefix.rstrip("/")
        api = Api(
            organization=self.organization,
            channels=self.channels,
            authority=self._authority,
            limiter=RateLimiter(self.rate_window, _loop_time),
            rate_limit=self.rate_limit,
            day_limit=self.day_limit,
            prefix=prefixes[0],
            switches=self.switches,
        )
        login = Login(self._authority, prefixes[1])
        self.routes = frozenset({*api.route_keys, *login.route_keys, *self.sockets.route_keys})
        self.faults = FaultPlan(self.seed, self.routes)
        self._ports = Ports(
            (api, login, self.sockets),
            (self.port, None if self.one_port else self.login_port, self.streaming_port),
            prefixes,
            host=self.host,
            ssl_context=self.ssl_context,
            recorder=self._recorder,
            faults=self.faults,
            seed=self.seed,
            wall_clock=self.wall_clock,
        )

    async def start(self) -> None:
        """Open the ports: all of them, or none when one cannot be opened."""
        if not is_loopback(self.host):
            _log.warning(
                "THE SIMULATOR LISTENS ON %s, BEYOND THIS MACHINE. It is no real service: its "
                "tokens and secrets are guessable.",
                self.host,
            )
        await self._ports.start()
        self.broadcast.start()

    async def aclose(self) -> None:
        """Close the ports at once, requests in flight included; again is harmless."""
        self.broadcast.stop()
        self.sockets.stop()
        await self._ports.aclose()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()

    @property
    def base_url(self) -> str:
        """Base address of the API, prefix included, once started."""
        return self._ports.base_url

    @property
    def login_url(self) -> str:
        """Base address of the login server, prefix included, once started."""
        return self._ports.login_url

    @property
    def streaming_url(self) -> str:
        """Base address of the sockets, `ws` or `wss`, once started."""
        return self._ports.streaming_url

    @property
    def user_ids(self) -> tuple[str, ...]:
        """The ids of all users, in order of creation."""
        return tuple(self.organization.users)

    @property
    def requests(self) -> deque[RecordedRequest]:
        """The last requests, oldest first, of all ports."""
        return self._recorder.requests

    @property
    def token_requests(self) -> int:
        """How many token requests arrived."""
        return self.count(TOKEN_TEMPLATE, "POST")

    def count(self, template: str | None = None, method: str | None = None) -> int:
        """How many requests arrived at a route, or with None for both at all.

        `template` is a path template such as `/oauth/token`, also with the method in front.
        """
        if template is not None and " " in template:
            method, _, template = template.partition(" ")
        return self._recorder.count(template, method)

    def counts(self) -> list[RouteCount]:
        """Return, for every route that was asked, how often and with which statuses."""
        return self._recorder.counts()

    @property
    def listeners(self) -> list[Callable[[RecordedRequest], None]]:
        """Called, at once, with every request that has ended; they must not raise."""
        return self._recorder.listeners

    def announcement(self) -> dict[str, Any]:
        """What somebody needs to use the running simulator, as JSON values."""
        return {
            "base_url": self.base_url,
            "login_url": self.login_url,
            "streaming_url": self.streaming_url,
            "client_id": self.client_id,
            "client_secret": self.client_secret,
            "user_ids": list(islice(self.organization.users, ANNOUNCED_USERS)),
        }

    def add_client(
        self,
        client_id: str,
        secret: str,
        *,
        permissions: Iterable[str] | None = None,
        user_id: str | None = None,
        redirect_uri: str | None = None,
        divisions: Iterable[str] | None = None,
    ) -> None:
        """Register an OAuth client.

        Args:
            client_id: Its id.
            secret: Its secret.
            permissions: What its tokens may do; None for everything.
            user_id: Who signs in on the authorize page; None for nobody.
            redirect_uri: The only address codes are sent to; None for any.
            divisions: Where the permissions are granted; None for everywhere.
        """
        if isinstance(permissions, str):
            raise TypeError("permissions must be an iterable of names, not one str")
        self._authority.clients[client_id] = OAuthClient(
            id=client_id,
            secret=secret,
            permissions=ALL_PERMISSIONS if permissions is None else frozenset(permissions),
            user_id=user_id,
            redirect_uri=redirect_uri,
            divisions=None if divisions is None else frozenset(divisions),
        )

    def issue_code(
        self, client_id: str, user_id: str, redirect_uri: str, code_challenge: str | None = None
    ) -> str:
        """An authorization code, as if the user had signed in and been sent to the address.

        Redeeming it must name the same address. `code_challenge` is the S256 challenge of PKCE.
        """
        return self._authority.issue_code(Code(client_id, user_id, redirect_uri, code_challenge))

    def issue_token(
        self,
        client_id: str | None = None,
        user_id: str | None = None,
        permissions: Iterable[str] | None = None,
        lifetime: float | None = None,
    ) -> str:
        """An access token without a request; ValueError for an unknown client.

        Args:
            client_id: The client it belongs to; None for the built-in one.
            user_id: Its user; None as with client credentials.
            permissions: What it may do; None for what its client may.
            lifetime: Seconds it lives; None for the usual lifetime.
        """
        client = self._authority.clients.get(client_id or self.client_id)
        if client is None:
            raise ValueError(f"no such OAuth client: {client_id!r}")
        return self._authority.issue_token(client, user_id, permissions, lifetime).value

    def revoke_tokens(self) -> None:
        """Turn every access token into a 401 `bad.credentials`; refresh tokens live on."""
        self._authority.revoke_tokens()

    def add_assertion(self, assertion: str, org_name: str, user_id: str) -> None:
        """Accept a SAML2 assertion of an organization for a user."""
        self._authority.assertions[assertion, org_name] = user_id
