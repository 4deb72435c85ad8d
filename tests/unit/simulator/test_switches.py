"""The switches are documented, cannot be misspelt, and cover everything that is unknown."""

import re
from typing import Any

import attrs
import pytest

from presence_async.simulator import Switches

# What the vendor's documentation leaves open, numbered as in the reference the simulator was
# built from: each question, and the switches that answer it, or why it needs none.
UNKNOWN: dict[int, tuple[str, set[str] | str]] = {
    1: (
        "bulk PUT: item limit, mandatory id, partial failure",
        {"bulk_put_limit", "bulk_put_id_required", "bulk_put_partial"},
    ),
    2: (
        "bulk GET: over 50 ids, no ids, unknown ids",
        {"bulk_get_over_limit", "bulk_get_no_ids", "bulk_get_unknown"},
    ),
    3: ("repeated or comma-joined ids", {"array_style"}),
    4: (
        "legacy list: page sizes, links",
        {"legacy_default_page_size", "legacy_max_page_size", "legacy_links"},
    ),
    5: (
        "status of DELETE of a legacy definition and of subscriptions",
        {"legacy_delete", "subscriptions_delete_status"},
    ),
    6: ("status of POST of a definition", {"definition_created_status"}),
    7: (
        "HTTP status of token errors",
        {"token_grant_error_status", "token_client_error_status"},
    ),
    # The default life of a token is Simulator(token_lifetime=...): it is set for each client.
    8: ("token life; refresh rotation; SAML2 refresh", {"refresh_rotates", "saml_refresh"}),
    9: ("org.app.user.rate.per.minute", {"org_app_user_rate_limit"}),
    10: (
        "PATCH: empty, primary false, nulls, unusable definition, message length, message kept",
        {
            "empty_patch",
            "primary_false",
            "nulls",
            "unknown_definition_status",
            "message_limit",
            "message_kept",
        },
    ),
    11: ("GET of an unknown user, a source unwritten", {"unknown_user_status", "unwritten_source"}),
    12: ("registered source on the ad hoc path", {"registered_source_status"}),
    # Nothing is concurrent in the simulator; the 409 of a concurrent edit is a scripted fault.
    13: ("what makes a 409", {"duplicate_label_conflict"}),
    14: (
        "changing systemPresence, editing a System definition, reactivating by PUT",
        {"system_presence_change", "system_definition_edit", "reactivation"},
    ),
    15: ("deactivated=ALL, case of flags", {"deactivated_all", "flags_any_case"}),
    16: ("users on a definition that is deactivated", {"deactivated_stays"}),
    17: ("futurePresenceDefinition", {"leaving_queue"}),
    18: (
        "systempresences: ids, selfUri, order",
        {"system_presence_ids", "system_presence_order"},
    ),
    19: ("GET presence: id, primary, sourceId", {"presence_extras"}),
    20: ("the Teams path today", {"microsoft_teams_route"}),
    21: ("PresenceExpand", "its fields are known, and there is no sample to differ from them"),
    22: ("how a combined topic counts", {"combined_topics_count"}),
    23: (
        "sockets: heartbeat, closing notice, close codes, in-band subscribe",
        {
            "heartbeat_seconds",
            "closing_notice",
            "socket_close_code",
            "in_band_subscribe",
            "refused_upgrade_status",
        },
    ),
    24: ("permission for another user's topic", {"presence_topic_permission"}),
    25: ("502 and 503: bodies, Retry-After", "faults bring body and headers of their own"),
    26: ("error texts, fields of an error", {"error_body"}),
    27: ("On Queue without routing:agent:onqueue", {"on_queue_needs_permission"}),
    28: ("whether a user id may be me", {"user_me"}),
    29: ("ten tokens for one user and client", {"token_limit"}),
    30: ("ids of the built-in definitions", {"fixed_builtin_ids"}),
    31: ("read-only fields in requests", {"read_only_fields"}),
    32: ("whether both definition families share one store", {"shared_definitions"}),
    33: ("host of sockets", "the client takes the address from the answer and builds none"),
}
# Switches for what is told, but not surely: other sources in the bulk read have a path of
# their own, new definitions lag for the vendor's Terraform provider, 500 users are hearsay.
BEYOND = {"bulk_other_sources", "definition_read_lag", "users_max_page_size"}


def test_each_unknown_has_its_switch():
    """Every unknown has a switch or a reason, every switch has its place, once."""
    assert list(UNKNOWN) == list(range(1, 34))
    placed = [name for _, answer in UNKNOWN.values() if isinstance(answer, set) for name in answer]
    assert sorted([*placed, *BEYOND]) == sorted(attrs.fields_dict(Switches))


def test_the_docstring_names_switches_that_exist():
    """What the docstring tells something about is a switch."""
    named = re.findall(r"\* `(\w+)`", Switches.__doc__ or "")
    assert set(named) < set(attrs.fields_dict(Switches))


def test_unknown_switches_are_refused():
    """A misspelt switch is an error, and switches do not change afterwards."""
    with pytest.raises(TypeError):
        Switches(bulk_get="x")
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        Switches().user_me = True


@pytest.mark.parametrize(
    "wrong",
    [
        {"token_limit": 0}, {"legacy_default_page_size": 0}, {"legacy_max_page_size": 0},
        {"users_max_page_size": 0}, {"token_grant_error_status": 200},
        {"token_client_error_status": 99999}, {"socket_close_code": 999},
        {"socket_close_code": 1006}, {"heartbeat_seconds": 0}, {"nulls": "maybe"},
    ],
)  # fmt: skip
def test_impossible_switches(wrong: dict[str, Any]):
    """What no vendor could do is refused with the name of the switch."""
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Switches(**wrong)
