"""An answer that is no success, as an error of our tree. Pure.

The vendor's error body and codes: `ErrorBody` of its SDK; smallest recorded body
`{message, code, status}`, so every field is optional, and 502 may not be JSON at all.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from presence_async.errors import (
    AuthenticationError,
    ConflictError,
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
    PresenceError,
    PresenceTimeoutError,
    RateLimitedError,
    ServerError,
)
from presence_async.secret import MASK
from presence_async.wire import Response, retry_after_seconds

if TYPE_CHECKING:
    from presence_async.routes import Route

_MESSAGE_LENGTH: Final = 500
# A list of permissions may be longer than the part of a message that is worth showing.
_SEARCHED_LENGTH: Final = 8000
# The look-behind also keeps the search linear in words that hold no colon.
_PERMISSION: Final = re.compile(
    r"(?<![\w:-])[A-Za-z][\w-]*:[A-Za-z*][\w-]*:[A-Za-z*][\w-]*", re.ASCII
)
# A gateway that echoes the request it refused must not put our token in a log.
_CREDENTIALS: Final = re.compile(
    r"""(?i)
    \b(bearer|basic) (?:\s|%20|[+:="'])+ \S+
    | \b(access_token|refresh_token|client_secret|code_verifier|assertion|code(?==))
      ["']? \s* [=:] \s* ["']? [^\s&"']+
    | \b(streaming-\d+-) [a-z0-9]+  # id of a channel, which opens its socket
    """,
    re.VERBOSE,
)

_BY_STATUS: Final[dict[int, type[PresenceError]]] = {
    401: AuthenticationError,
    404: NotFoundError,
    408: PresenceTimeoutError,
    409: ConflictError,
    429: RateLimitedError,
}


def _object(body: bytes) -> dict[str, Any]:
    """The body as a JSON object, or an empty one: error bodies are best effort."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _text(value: Any, length: int = _MESSAGE_LENGTH) -> str | None:
    """Text of the answer in one printable line, without credentials, or None for none."""
    if not isinstance(value, str) or not (value := value.strip()):
        return None
    # Cut first: what is left of a credential that is cut through is masked all the same.
    printable = "".join(char if char.isprintable() else " " for char in value[:length])
    return _CREDENTIALS.sub(_masked, printable)


def _masked(found: re.Match[str]) -> str:
    return f"{found[1] or found[2] or found[3]} {MASK}"


def _context(route: Route, response: Response) -> dict[str, Any]:
    return {
        "status": response.status,
        "method": route.method,
        "path_template": route.template,
        "correlation_id": _text(response.correlation_id),
        "retry_after": retry_after_seconds(response.headers),
    }


def api_error(route: Route, response: Response) -> PresenceError:
    """The error for an API answer that is not 2xx."""
    body = _object(response.body)
    context = _context(route, response)
    context["code"] = _text(body.get("code"))
    if context["correlation_id"] is None:
        context["correlation_id"] = _text(body.get("contextId"))
    message = _text(body.get("message")) or _bodiless(response.status)
    status = response.status
    if status == 403:
        named = _PERMISSION.findall(_text(body.get("message"), _SEARCHED_LENGTH) or "")
        return _permission_error(route, message, tuple(dict.fromkeys(named)), context)
    if status == 404 and route.note:
        message = f"{message}; {route.note}"
    if status >= 500 or status < 400:
        return ServerError(message, **context)
    kind = _BY_STATUS.get(status)
    if kind is None:
        return InvalidRequestError(message, field=_field(body), **context)
    return kind(message, **context)


def item_error(
    route: Route, response: Response, reason: Any, *, retryable: bool
) -> InvalidRequestError | ServerError:
    """The error for one item that a successful answer lists as refused, for a `reason`.

    `retryable`: the vendor says that sending the item again may work.
    """
    kind = ServerError if retryable else InvalidRequestError
    message = _text(reason) or "the vendor refused this item without a reason"
    return kind(message, attempts=response.attempts, **_context(route, response))


def _bodiless(status: int) -> str:
    if 200 <= status < 400:
        return "the answer is a redirect or an unexpected success, which this API never sends"
    return "the answer carries no error body"


def _field(body: dict[str, Any]) -> str | None:
    """The field that the first detail of an error body names, if any."""
    details = body.get("details")
    if isinstance(details, list):
        for detail in details:
            if isinstance(detail, dict) and (name := _text(detail.get("fieldName"))):
                return name
    return None


def _permission_error(
    route: Route, message: str, named: tuple[str, ...], context: dict[str, Any]
) -> PermissionDeniedError:
    """403 names the missing permissions in its text; else the documented ones are named."""
    if named:
        needs_all = context["code"] != "missing.any.permissions"
        return PermissionDeniedError(
            message, missing_permissions=named, needs_all=needs_all, **context
        )
    if route.permissions:
        which = "all of" if route.needs_all else "any of"
        message = f"{message}; documented permissions: {which} {', '.join(route.permissions)}"
    return PermissionDeniedError(
        message, missing_permissions=route.permissions, needs_all=route.needs_all, **context
    )


def token_error(route: Route, response: Response) -> PresenceError:
    """The error for an answer of the token endpoint that holds no token.

    Its body is `error`, `description`, `error_description`; the status (400 or 401) is not
    documented, so any 4xx is decided on `error`. Minting many tokens is throttled with a 400,
    "rate limit exceeded" (the vendor's Terraform provider retries it).
    """
    body = _object(response.body)
    context = _context(route, response)
    context["code"] = code = _text(body.get("error")) or _text(body.get("code"))
    # A gateway in front of the login host may answer in the API's form.
    texts = (_text(body.get(name)) for name in ("error_description", "description", "message"))
    description = next(filter(None, texts), None)
    detail = f" ({description})" if description else ""
    status = response.status
    if status == 429 or "rate limit exceeded" in (description or "").lower():
        return RateLimitedError(f"the login host throttles token requests{detail}", **context)
    if status >= 500 or (status == 408 and code in (None, "client.timeout")):
        return ServerError(f"the login host failed{detail}", outcome_unknown=True, **context)
    if code == "invalid_client":
        return AuthenticationError(
            f"unknown client id, wrong secret, or wrong region{detail}", **context
        )
    if code == "invalid_grant":
        return AuthenticationError(
            f"the code, refresh token or assertion is unknown, used or expired{detail}", **context
        )
    if response.ok and code is None:
        return AuthenticationError("the login host answered without a token", **context)
    return AuthenticationError(f"the login host refused to issue a token{detail}", **context)
