"""A channel and its socket as the machine remembers them, and how long it bears with them. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import attrs

if TYPE_CHECKING:
    from presence_async.secret import Secret


@attrs.frozen
class Timing:
    """Periods, in seconds.

    Attributes:
        silence: Without a frame for so long, the socket is asked whether it is alive.
        pong: What it is given to answer.
        opening: What a socket is given to open.
        stable: A socket that lived for so long was a success; before, pauses keep growing.
        life: Of a channel, from each subscribe call.
        pause: The longest before another attempt. Twenty channels that can do nothing but try
            make eighty requests a minute then, of the 300 there are.
    """

    silence: float = 40.0
    pong: float = 10.0
    opening: float = 30.0
    stable: float = 60.0
    life: float = 86_400.0
    pause: float = 60.0


@attrs.define
class ChannelLink:
    """A channel that was made; its id opens the socket as the address does."""

    id: str = attrs.field(repr=False)
    connect_uri: Secret
    expires_at: float = 0.0
    renew_at: float = 0.0

    def extend(self, now: float, life: float) -> None:
        """It lives for so long; half of that is time enough to renew it."""
        self.expires_at = now + life
        self.renew_at = now + life / 2


@attrs.define
class SocketLink:
    """A socket from the command to open it to its end.

    Attributes:
        heard_at: Its latest frame; before the first, when it was opened, or was to be.
        state: Live from the first frame on.
        pinged_at: When it was asked for a sign of life that has not come yet.
    """

    number: int
    heard_at: float
    state: Literal["opening", "open", "live"] = "opening"
    live_since: float = 0.0
    pinged_at: float | None = None

    def patience(self, timing: Timing) -> float:
        """Until when it may be silent as it is."""
        if self.pinged_at is not None:
            return self.pinged_at + timing.pong
        return self.heard_at + (timing.opening if self.state == "opening" else timing.silence)

    def lived(self, now: float) -> float:
        """How long it has been live."""
        return now - self.live_since if self.state == "live" else 0.0
