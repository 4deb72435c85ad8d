"""What the vendor's SDK really sends, and that its forms are as good as the documented ones."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest
from contract.vendor import SDK, ApiException, Bench, error_of


def test_headers(bench: Bench):
    """JSON both ways even where there is no body, and two headers that tell the SDK."""
    bench.presence.get_presence_settings()
    headers = bench.last.headers
    assert headers["Accept"] == headers["Content-Type"] == "application/json"
    assert headers["User-Agent"] == "PureCloud SDK/python"
    assert headers["purecloud-sdk"]
    assert headers["Authorization"] == "Bearer ***"
    assert bench.last.body == b""


def test_answers_have_the_vendors_headers(bench: Bench):
    """The SDK keeps the last answer; it has a correlation id and forbids caching."""
    bench.presence.get_presence_settings()
    headers = bench.client.last_response.getheaders()
    assert headers["Content-Type"] == "application/json"
    assert headers["ININ-Correlation-Id"]
    assert "no-store" in headers["Cache-Control"]
    assert not [name for name in headers if "ratelimit" in name.lower()]


@pytest.mark.parametrize("ids", ["{0},{1}", "{0}%2C{1}", "{0}&id={1}", "{0},{1}&id={1}"])
def test_arrays(bench: Bench, ids: str):
    """Comma-joined as the Python SDK, or repeated as JavaScript and Go: the same answer."""
    wanted = bench.sim.user_ids[:2]
    path = "/api/v2/users/presences/purecloud/bulk?id=" + ids.format(*wanted)
    found = bench.client.call_api(
        path, "GET", auth_settings=["PureCloud OAuth"], response_type="list[UcUserPresence]"
    )
    assert [one.user_id for one in found] == list(wanted)


@pytest.mark.parametrize("flag", ["true", "True", "false", "False"])
def test_booleans(bench: Bench, flag: str):
    """Lower case as today's SDKs send them, or Python's own spelling."""
    path = f"/api/v2/notifications/availabletopics?includePreview={flag}"
    found = bench.client.call_api(
        path,
        "GET",
        auth_settings=["PureCloud OAuth"],
        response_type="AvailableTopicEntityListing",
    )
    assert found.entities
    with pytest.raises(ApiException) as caught:
        bench.client.call_api(f"{path}ish", "GET", auth_settings=["PureCloud OAuth"])
    assert error_of(caught) == (400, "invalid.value")


def test_ids_are_encoded_but_for_the_slash(bench: Bench):
    """The SDK leaves a slash alone, so that such an id becomes another route."""
    for odd in ("späte schicht", "a?b#c", "50%"):
        with pytest.raises(ApiException) as caught:
            bench.presence.get_user_presence(bench.user, odd)
        assert error_of(caught) == (404, "not.found")
        assert odd in json.loads(caught.value.body)["message"]
    with pytest.raises(ApiException) as caught:
        bench.presence.get_user_presence(bench.user, "one/two")
    assert error_of(caught) == (404, "not.found")
    assert bench.last.path_template is None


def test_absent_and_null(bench: Bench):
    """The SDK leaves out what is not set; its explicit null changes nothing."""
    body = SDK.UserPresence()
    body.message = "Lunch"
    bench.presence.patch_user_presences_purecloud(bench.user, body)
    assert bench.sent == {"message": "Lunch"}
    body.message = SDK.ApiNullValue()
    body.primary = True
    answer = bench.presence.patch_user_presences_purecloud(bench.user, body)
    assert bench.sent == {"message": None, "primary": True}
    assert answer.message == "Lunch"


def test_a_simulator_of_its_own():
    """The one line that `simulate` prints is all that the SDK needs."""
    command = [sys.executable, "-m", "presence_async", "simulate", "--users", "2"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # noqa: S603  our own command
    try:
        announced = json.loads(process.stdout.readline())
        # One host for everything is all the SDK knows: first the login server, then the API.
        client = SDK.ApiClient(host=announced["login_url"])
        client.get_client_credentials_token(announced["client_id"], announced["client_secret"])
        client.host = announced["base_url"]
        found = SDK.PresenceApi(client).get_users_presences_purecloud_bulk(id=announced["user_ids"])
        assert len(found) == 2
    finally:
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=10)
    assert process.returncode == 0, errors
    assert errors.startswith(b"served ")
