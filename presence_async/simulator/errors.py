"""The vendor's REST error, as an exception and as the `ErrorBody` on the wire.

Codes follow the vendor's swagger of March 2018 and today's generated documentation. Texts are
invented in the vendor's manner: nobody may depend on them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_CODES = {
    400: "bad.request",
    401: "bad.credentials",
    403: "not.authorized",
    404: "not.found",
    405: "method.not.allowed",
    408: "client.timeout",
    409: "general.conflict",
    413: "request.entity.too.large",
    415: "unsupported.media.type",
    429: "too.many.requests",
    500: "internal.server.error",
    503: "service.unavailable",
    504: "request.timeout",
}


class ApiError(Exception):
    """A refusal by the API.

    Args:
        status: HTTP status of the answer.
        code: The vendor's dotted error code.
        message: Human-readable text.
        params: Values named in the text, answered as `messageParams`.
        limit: The `limit` object of an exceeded limit.
        headers: Extra headers of the answer.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        params: Mapping[str, str] | None = None,
        limit: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, code, message)
        self.status = status
        self.code = code
        self.message = message
        self.params = params
        self.limit = limit
        self.headers = headers or {}

    def body(self, correlation_id: str, *, smallest: bool = False) -> bytes:
        """The JSON `ErrorBody`, its `contextId` being `correlation_id`.

        The smallest recorded one has message, code and status only.
        """
        body: dict[str, Any] = {"message": self.message, "code": self.code, "status": self.status}
        if smallest:
            return orjson.dumps(body)
        body |= {"contextId": correlation_id, "details": [], "errors": []}
        if self.params is not None:
            body["messageParams"] = dict(self.params)
        if self.limit is not None:
            body["limit"] = dict(self.limit)
        return orjson.dumps(body)


class TokenError(ApiError):
    """A refusal by the login server, whose recorded bodies are of another form."""

    def body(self, correlation_id: str, *, smallest: bool = False) -> bytes:  # noqa: ARG002
        """The JSON body."""
        text = self.message
        return orjson.dumps({"error": self.code, "description": text, "error_description": text})


def bad_request(message: str) -> ApiError:
    """The 400 for something unparsable or invalid."""
    return ApiError(400, "bad.request", message)


def invalid_value(name: str, value: object) -> ApiError:
    """The 400 for a value outside the allowed set."""
    shown = str(value)[:100]
    return ApiError(
        400,
        "invalid.value",
        f"Value [{shown}] is not valid for field type [{name}].",
        params={"name": name, "value": shown},
    )


def not_found(what: str, identity: str) -> ApiError:
    """The 404 for a record that does not exist."""
    return ApiError(404, "not.found", f"Unable to find {what} [{identity}]")
