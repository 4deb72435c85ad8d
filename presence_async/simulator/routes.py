"""The table of operations: method, template, permission, body or not, and who answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable

    from presence_async.simulator.exchange import Answer, Call
    from presence_async.simulator.permissions import Need


@attrs.frozen
class Route:
    """One operation of the API.

    Attributes:
        method: HTTP method.
        template: Path with parameters in braces, spelled as in the vendor's documentation.
        handle: Answers a call; whatever it changes, it changes at once.
        need: Permissions checked before the call; None for none.
        bodyless: A POST without a body.
    """

    method: str
    template: str
    handle: Callable[[Call], Answer]
    need: Need | None = None
    bodyless: bool = False

    @property
    def takes_body(self) -> bool:
        """Whether the operation reads a JSON body."""
        return self.method in {"PATCH", "POST", "PUT"} and not self.bodyless

    @property
    def key(self) -> str:
        """Method and template, the way faults name a route."""
        return f"{self.method} {self.template}"
