"""A loopback server that is not the bottleneck: canned answers from a bare protocol.

Run in a process of its own, `python -m benchmarks.server`; prints its port. With `--latency`
every answer comes that much later.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import uuid
from typing import cast

DEFINITION = "6a3af858-942f-489d-9700-5f9bcdcdae9b"
LOCALES = ("en_US", "de", "es", "fr", "ja")


def presence(user_id: str, *, bulk: bool) -> dict[str, object]:
    """A presence as recorded from the vendor; a bulk row also names its user."""
    row: dict[str, object] = {"userId": user_id} if bulk else {}
    return row | {
        "source": "PURECLOUD",
        "presenceDefinition": {
            "id": DEFINITION,
            "systemPresence": "Available",
            "selfUri": f"/api/v2/presencedefinitions/{DEFINITION}",
        },
        "message": "",
        "modifiedDate": "2026-03-07T08:15:03.625Z",
        "selfUri": f"/api/v2/users/{user_id}/presences",
    }


def definition(number: int) -> dict[str, object]:
    """A definition as the current list has it, with labels in a few languages."""
    id_ = str(uuid.UUID(int=0x8765_4321 << 64 | number))
    return {
        "id": id_,
        "name": f"Presence {number}",
        "type": "User",
        "languageLabels": dict.fromkeys(LOCALES, f"Presence {number}"),
        "systemPresence": ("Available", "Away", "Busy", "OnQueue", "Meal")[number % 5],
        "divisionId": "*",
        "deactivated": False,
        "selfUri": f"/api/v2/presence/definitions/{id_}",
    }


def user_id(number: int) -> str:
    """The same id in every process."""
    return str(uuid.UUID(int=0x1234_5678 << 64 | number))


def user_ids(count: int) -> list[str]:
    """The first ids, in a list."""
    return [user_id(number) for number in range(count)]


def _encoded(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


SINGLE = _encoded(presence(user_ids(1)[0], bulk=False))
BULK = _encoded([presence(user_id, bulk=True) for user_id in user_ids(50)])
DEFINITIONS = _encoded(
    {
        "total": 100,
        "entities": [definition(number) for number in range(100)],
        "selfUri": "/api/v2/presence/definitions",
    }
)
TOKEN = b'{"access_token":"benchmark","token_type":"bearer","expires_in":86400}'


def _answer(body: bytes) -> bytes:
    head = (
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n"
        "ININ-Correlation-Id: 7a6a5a1e-6a4e-4d2c-8f3e-0123456789ab\r\n"
        "Cache-Control: no-cache, no-store, must-revalidate\r\n\r\n"
    )
    return head.encode() + body


_ROW = _encoded(presence("@", bulk=True))
_SINGLE_ANSWER = _answer(SINGLE)
_DEFINITIONS_ANSWER = _answer(DEFINITIONS)
_TOKEN_ANSWER = _answer(TOKEN)


def _answer_to(line: bytes) -> bytes:
    """The answer to a request line; a bulk read gets a row for each user it asks for."""
    if b"/bulk?" in line:
        query = line.split(b"?", 1)[1].split(b" ", 1)[0].removeprefix(b"id=")
        # The vendor's SDK joins the ids with encoded commas.
        ids = query.replace(b"%2C", b"&id=").split(b"&id=")
        return _answer(b"[" + b",".join([_ROW.replace(b"@", id_) for id_ in ids]) + b"]")
    if b"/presence/definitions" in line:
        return _DEFINITIONS_ANSWER
    return _TOKEN_ANSWER if b"/oauth/token" in line else _SINGLE_ANSWER


class _Canned(asyncio.Protocol):
    """Answers each request by its request line, `latency` seconds later."""

    def __init__(self, latency: float) -> None:
        self.latency = latency

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.buffer = b""

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head = self.buffer[:end]
            length = 0
            at = head.lower().find(b"content-length:")
            if at >= 0:
                length = int(head[at + 15 :].split(b"\r\n", 1)[0])
            if len(self.buffer) < end + 4 + length:
                return
            self.buffer = self.buffer[end + 4 + length :]
            answer = _answer_to(head.split(b"\r\n", 1)[0])
            if self.latency:
                loop = asyncio.get_running_loop()
                loop.call_later(self.latency, self.transport.write, answer)
            else:
                self.transport.write(answer)


async def _serve(latency: float) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Canned(latency), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="benchmarks.server", description=__doc__)
    parser.add_argument("--latency", type=float, default=0.0, help="seconds")
    asyncio.run(_serve(parser.parse_args().latency))
