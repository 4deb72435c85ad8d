"""What aiohttp raises, in our words."""

from __future__ import annotations

import errno
import ssl
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest

from presence_async.errors import PresenceConnectionError, PresenceTimeoutError
from presence_async.transport._reasons import SILENT, is_stale, proxy_reason, translated

KEY: Any = SimpleNamespace(host="secret.test", port=443, ssl=True, is_ssl=True)
REFUSED = OSError(errno.ECONNREFUSED, "Connect call failed ('10.0.0.1', 443)")


class _TlsError(ssl.SSLError):
    """As OpenSSL raises it: only there it has a reason."""

    reason = "UNKNOWN_CA"


def caused(error: Exception, cause: Exception) -> Exception:
    """`error` as raised from `cause`."""
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "expected", "may_be_sent"),
    [
        (
            aiohttp.ConnectionTimeoutError(),
            PresenceTimeoutError("the connection could not be opened in time"),
            False,
        ),
        (
            aiohttp.ClientConnectorError(KEY, REFUSED),
            PresenceConnectionError("no connection (Connection refused)"),
            False,
        ),
        (
            aiohttp.ClientConnectorError(KEY, OSError("Multiple exceptions: 10.0.0.1")),
            PresenceConnectionError("no connection (OSError)"),
            False,
        ),
        (
            aiohttp.ClientProxyConnectionError(KEY, REFUSED),
            PresenceConnectionError("no connection to the proxy (Connection refused)"),
            False,
        ),
        (
            aiohttp.ClientConnectorDNSError(KEY, REFUSED),
            PresenceConnectionError("the host name cannot be resolved"),
            False,
        ),
        (
            aiohttp.ClientConnectorSSLError(KEY, _TlsError(1, "secret.test")),
            PresenceConnectionError("TLS failed (UNKNOWN_CA)"),
            False,
        ),
        (
            aiohttp.ClientConnectorCertificateError(KEY, ssl.CertificateError("secret.test")),
            PresenceConnectionError("the server's certificate is not trusted"),
            False,
        ),
        (
            aiohttp.ClientHttpProxyError(SimpleNamespace(), (), status=502),
            PresenceConnectionError("the proxy refused to connect (502)"),
            False,
        ),
        (aiohttp.SocketTimeoutError(), PresenceTimeoutError(SILENT), True),
        (
            caused(aiohttp.ClientOSError(), _TlsError(1, "secret.test")),
            PresenceConnectionError("TLS failed (UNKNOWN_CA)"),
            True,
        ),
        (
            aiohttp.ServerDisconnectedError("secret.test"),
            PresenceConnectionError(
                "the connection broke before the answer was complete (ServerDisconnectedError)"
            ),
            True,
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_each_failure_has_its_reason(error: Exception, expected: Any, may_be_sent: bool) -> None:
    """The reason names no address, and it is known what certainly was not sent."""
    failure, sent = translated(error)
    assert type(failure) is type(expected)
    assert failure.message == expected.message
    assert "secret" not in failure.message
    assert sent is may_be_sent


def test_a_proxy_that_wants_credentials_says_so() -> None:
    """407 is about credentials; every other status is a refusal."""
    assert proxy_reason(407) == "the proxy wants other credentials (407)"
    assert proxy_reason(403) == "the proxy refused to connect (403)"


@pytest.mark.parametrize(
    ("error", "stale"),
    [
        (aiohttp.ClientOSError(), True),
        (aiohttp.ServerDisconnectedError(), True),
        (aiohttp.ClientConnectorError(KEY, REFUSED), False),
        (aiohttp.ClientPayloadError(), False),
    ],
)
def test_stale_is_what_was_lost_without_an_answer(error: Any, stale: bool) -> None:
    """A connection that never opened, or broke within an answer, was not stale."""
    assert is_stale(error) is stale
