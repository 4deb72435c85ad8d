"""The body of the vendor's REST errors.

Fields are those of the vendor's Python SDK 269.0.0. The smallest recorded body has
`message`, `code` and `status` only. Errors of the token endpoint look different.
"""

from collections.abc import Mapping

import attrs

from presence_async.models._base import UNSET, Maybe, Model


@attrs.frozen(kw_only=True, weakref_slot=False, repr=False)
class Detail(Model):
    """What is wrong with one field of the request.

    Attributes:
        error_code: Dotted code.
    """

    error_code: Maybe[str] = UNSET
    field_name: Maybe[str] = UNSET
    entity_id: Maybe[str] = UNSET
    entity_name: Maybe[str] = UNSET


@attrs.frozen(kw_only=True, weakref_slot=False, repr=False)
class Limit(Model):
    """The documented limit that was hit; errors name it since June 2023.

    Attributes:
        key: E.g. "client.credentials.token.rate.per.minute".
        namespace: The vendor's service that owns it, e.g. "presence", "platform.api" or
            "notifications".
        value: Its value, in the unit of the key.
    """

    key: Maybe[str] = UNSET
    namespace: Maybe[str] = UNSET
    value: Maybe[int] = UNSET


@attrs.frozen(kw_only=True, weakref_slot=False, repr=False)
class ErrorBody(Model):
    """Why the vendor refused a request.

    Attributes:
        message: Text for humans. Its wording changes and embeds values: decide on `code`.
        code: Dotted code such as "missing.any.permissions".
        status: Same as the HTTP status.
        message_with_params: Presumably the template of `message`.
        message_params: Presumably the values of that template.
        context_id: The vendor's id of the exchange.
    """

    message: Maybe[str] = UNSET
    code: Maybe[str] = UNSET
    status: Maybe[int] = UNSET
    entity_id: Maybe[str] = UNSET
    entity_name: Maybe[str] = UNSET
    message_with_params: Maybe[str] = UNSET
    # Not part of the hash: JSON objects are dicts, and dicts have none.
    message_params: Maybe[Mapping[str, str]] = attrs.field(default=UNSET, hash=False)
    context_id: Maybe[str] = UNSET
    details: Maybe[tuple[Detail, ...]] = UNSET
    errors: Maybe[tuple["ErrorBody", ...]] = UNSET
    limit: Maybe[Limit] = UNSET
