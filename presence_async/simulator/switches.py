"""Named switches for what the vendor's documentation leaves open.

Each field is one open question, or a part of one. The default is the working assumption; the
other values are what the real service may turn out to do, so that a client is tested against
both.
"""

from __future__ import annotations

from typing import Literal

import attrs

from presence_async.simulator.checks import check_by_type, check_number, check_whole


@attrs.frozen(kw_only=True)
class Switches:
    """How the simulated vendor behaves where its documentation is silent.

    Most items of a bulk PUT, whether `id` is needed, and what one bad item does:
        bulk_put_limit: Most items in one call; None for no limit.
        bulk_put_id_required: Whether an item without `id` is refused; otherwise it means the
            user of the token.
        bulk_put_partial: Bad items are left out of the answer instead of failing the call.
    A bulk GET of too many users, of none, of unknown ones, and of another source:
        bulk_get_over_limit: More than 50 ids are refused, cut to 50, or answered in full.
        bulk_get_no_ids: A call without ids is refused or answered with an empty array.
        bulk_get_unknown: Unknown users are left out or turn the whole call into a 404.
        bulk_other_sources: Whether the bulk GET knows sources other than `purecloud`.
    Repeated or comma-joined ids in a query:
        array_style: Whether a comma joins ids as well. (Repeated parameters must work: the
            vendor's JavaScript and Go SDKs send nothing else.)
    Page sizes and links of the legacy definition list:
        legacy_default_page_size, legacy_max_page_size: Page sizes.
        legacy_links: Whether the envelope carries link fields.
    Answer to the DELETE of a legacy definition:
        legacy_delete: 204, 200 with the record, or 200 with nothing.
    Status of a created definition:
        definition_created_status: Status of a POST to the current definitions.
    HTTP status of token errors:
        token_grant_error_status: When the grant is at fault.
        token_client_error_status: When the client id or secret is at fault.
    Rotation of refresh tokens, and whether SAML2 bearer has them:
        refresh_rotates: A used refresh token dies and a new one is handed out.
        saml_refresh: SAML2 bearer answers carry a refresh token.
    The limit of one user through one OAuth client:
        org_app_user_rate_limit: Requests a minute of one user through one OAuth client.
    What a PATCH may carry and what it leaves alone:
        empty_patch: A body without any change is accepted or refused with 400.
        primary_false: `primary` false is ignored or refused with 400.
        nulls: An explicit null counts as absent or is refused with 400.
        unknown_definition_status: Status for an unknown or deactivated definition.
        message_limit: Most characters of a message; None for no limit.
        message_kept: A change of presence keeps the message.
    A source that was never written:
        unwritten_source: A source a user never wrote is 404 or reads as Offline.
    A registered source on the path for ad hoc names:
        registered_source_status: Status for a registered source on the ad hoc path.
    What makes a 409:
        duplicate_label_conflict: A new definition with labels in use is a 409.
    Which changes of a definition are allowed:
        system_presence_change: Changing `systemPresence` is refused or ignored.
        system_definition_edit: Editing or deleting a System definition is refused or allowed.
        reactivation: Whether a PUT with `deactivated` false revives a record.
    Values of flags in queries:
        deactivated_all: Whether `deactivated=ALL` is understood.
        flags_any_case: Whether flag values in queries are read in any case.
    Users on a definition that is deactivated:
        deactivated_stays: A deactivated definition stays on its users; otherwise they show
            the built-in one of the same system presence.
    Fields of a system presence:
        system_presence_ids: System presences carry `id` and `selfUri`.
    Fields of a user presence today:
        presence_extras: User presences carry `id`, `primary` and `sourceId`.
    The Teams path today:
        microsoft_teams_route: The removed Teams path answers.
    On Queue over the API:
        on_queue_needs_permission: On Queue needs `routing:agent:onqueue`.
    `me` in place of a user id:
        user_me: `me` is understood as a user id.
    How entries of a combined topic count against the thousand of a channel:
        combined_topics_count: A combined topic counts once, or each of its topics does.
    What sockets of a channel do:
        heartbeat_seconds: Seconds between heartbeats.
        closing_notice: Body of the closing notice: empty, or a full SystemMessage.
        socket_close_code: Close code of a socket the server ends.
        in_band_subscribe: The undocumented `subscribe` message of a socket is answered.
        refused_upgrade_status: Status for the socket of a channel that is gone.
    Permission for another user's presence topic:
        presence_topic_permission: Other users' presence topics need
            `presence:userPresence:view` (an invented name: none is documented).
    Answer to the DELETE of all subscriptions:
        subscriptions_delete_status: 200 or 204.
    How many tokens live at once:
        token_limit: Live tokens of one client and user; one more kills the oldest.
    Ids of the built-in definitions:
        fixed_builtin_ids: Built-in definitions have the well-known ids.
    Read-only fields in a request:
        read_only_fields: Read-only fields in request bodies are ignored or refused.
    The presence of an unknown user:
        unknown_user_status: Status where a user is named that does not exist.
    A user on the queue who picks another presence while the settings say that leaving is a
    matter of asking (`requestingOffQueueEnabled`):
        leaving_queue: He stays On Queue, the wish shows as `futurePresenceDefinition`, and
            somebody else's change grants it; or he leaves at once.
    Order of the system presences:
        system_presence_order: That of the built-in definitions, or by name.
    Whether both definition families show the same records:
        shared_definitions: They do; otherwise a definition is seen only in the family it was
            made in, and the built-in ones in both.
    Fields of an error:
        error_body: All that have a value, or no more than the smallest recorded error had:
            `message`, `code` and `status`.

    No switch is needed for the default life of tokens (`Simulator(token_lifetime=...)`), for
    bodies and `Retry-After` of a 502 or 503 (faults bring their own), and for what the client
    alone decides: the host of sockets. The fields of the old Teams answer are those of the
    SDKs of its time; there is nothing to choose from.

    Read lag and page size:
        definition_read_lag: Seconds a new definition answers 404; the vendor's Terraform
            provider retries that read.
        users_max_page_size: Largest page of the user list (500 is said to be the maximum).
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
