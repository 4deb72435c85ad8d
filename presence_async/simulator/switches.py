"""Named switches for what the vendor's documentation leaves open.

The default is the working assumption; the other values are what the real service may turn out
to do. docs/simulator.md lists the open questions, also those that need no switch.
"""

from __future__ import annotations

from typing import Literal

import attrs

from presence_async.simulator.checks import check_by_type, check_number, check_whole


@attrs.frozen(kw_only=True)
class Switches:
    """How the simulated vendor behaves where its documentation is silent.

    The table in docs/simulator.md says what each switch means. None is for no limit. Told here is
    what neither name nor values say:

    * `bulk_put_id_required`: otherwise an item without `id` means the user of the token.
    * `bulk_put_partial`: bad items are left out of the answer instead of failing the call.
    * `array_style`: repeated parameters must work, for the vendor's JavaScript and Go SDKs send
      nothing else; the switch is about a comma that joins ids as well.
    * `bulk_get_unknown`: what is left out, or turns the whole call into a 404, is a user.
    * `deactivated_stays`: otherwise users on a deactivated definition show the built-in one of the
      same system presence.
    * `definition_read_lag`: seconds a new definition answers 404; the vendor's Terraform provider
      retries that read.
    * `leaving_queue`: a user on the queue who picks another presence, while leaving is a matter of
      asking (`requestingOffQueueEnabled`), stays On Queue, the wish shows as
      `futurePresenceDefinition`, and somebody else's change grants it; or leaves at once.
    * `org_app_user_rate_limit`: requests a minute of one user through one OAuth client.
    * `presence_topic_permission`: `presence:userPresence:view`, an invented name.
    * `shared_definitions`: otherwise a definition is seen only in the family it was made in, and
      the built-in ones in both.
    * `token_limit`: live tokens of one client and user; one more kills the oldest.
    * `users_max_page_size`: 500 is said to be the maximum.
    """

    bulk_put_limit: int | None = 50
    bulk_put_id_required: bool = True
    bulk_put_partial: bool = False
    bulk_get_over_limit: Literal["reject", "truncate", "accept"] = "reject"
    bulk_get_no_ids: Literal["reject", "empty"] = "reject"
    bulk_get_unknown: Literal["omit", "reject"] = "omit"
    bulk_other_sources: bool = True
    array_style: Literal["both", "repeated"] = "both"
    legacy_default_page_size: int = 25
    legacy_max_page_size: int = 100
    legacy_links: bool = False
    legacy_delete: Literal["no_content", "body", "empty"] = "no_content"
    definition_created_status: Literal[200, 201] = 201
    token_grant_error_status: int = 400
    token_client_error_status: int = 401
    refresh_rotates: bool = True
    saml_refresh: bool = False
    org_app_user_rate_limit: int = 3000
    empty_patch: Literal["accept", "reject"] = "accept"
    primary_false: Literal["ignore", "reject"] = "ignore"
    nulls: Literal["absent", "reject"] = "absent"
    unknown_definition_status: Literal[400, 404] = 400
    message_limit: int | None = None
    message_kept: bool = True
    unwritten_source: Literal["not_found", "offline"] = "not_found"
    registered_source_status: Literal[400, 404] = 404
    duplicate_label_conflict: bool = False
    system_presence_change: Literal["reject", "ignore"] = "reject"
    system_definition_edit: Literal["reject", "allow"] = "reject"
    reactivation: bool = True
    deactivated_all: bool = False
    flags_any_case: bool = True
    deactivated_stays: bool = True
    system_presence_ids: bool = False
    presence_extras: bool = False
    microsoft_teams_route: bool = False
    on_queue_needs_permission: bool = False
    user_me: bool = False
    combined_topics_count: Literal["once", "each"] = "once"
    heartbeat_seconds: float = 30.0
    closing_notice: Literal["empty", "full"] = "empty"
    socket_close_code: int = 1001
    in_band_subscribe: bool = False
    refused_upgrade_status: Literal[401, 404] = 404
    presence_topic_permission: bool = False
    subscriptions_delete_status: Literal[200, 204] = 200
    token_limit: int | None = None
    fixed_builtin_ids: bool = True
    read_only_fields: Literal["ignore", "reject"] = "ignore"
    unknown_user_status: Literal[400, 404] = 404
    leaving_queue: Literal["pending", "at_once"] = "pending"
    system_presence_order: Literal["usual", "by_name"] = "usual"
    shared_definitions: bool = True
    error_body: Literal["full", "smallest"] = "full"
    definition_read_lag: float = 0.0
    users_max_page_size: int = 500

    def __attrs_post_init__(self) -> None:
        """Refuse what no vendor could do: ValueError with the name of the switch."""
        check_by_type(self)
        check_number("heartbeat_seconds", self.heartbeat_seconds, 0.001)
        check_whole("socket_close_code", self.socket_close_code, 1000, 4999)
        if self.socket_close_code in (1004, 1005, 1006, 1015):
            raise ValueError("socket_close_code must be one that may be sent (RFC 6455, 7.4)")
        for name in ("token_grant_error_status", "token_client_error_status"):
            check_whole(name, getattr(self, name), 400, 499)
        for name in ("legacy_default_page_size", "legacy_max_page_size", "users_max_page_size"):
            check_whole(name, getattr(self, name), 1)
        if self.token_limit is not None:
            check_whole("token_limit", self.token_limit, 1)
