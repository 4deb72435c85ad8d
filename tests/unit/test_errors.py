"""The error tree: what each class is, shows, and keeps over pickle and copy."""

import copy
import inspect
import pickle
from typing import Any

import pytest

from presence_async import errors
from presence_async.errors import (
    AuthenticationError,
    ClosedError,
    ConfigurationError,
    ConflictError,
    DecodeError,
    InvalidRequestError,
    JournalError,
    JournalLockedError,
    NotFoundError,
    PermissionDeniedError,
    PresenceConnectionError,
    PresenceError,
    PresenceTimeoutError,
    RateLimitedError,
    RowFailure,
    ServerError,
)

CLASSES = (
    PresenceError,
    ConfigurationError,
    ClosedError,
    AuthenticationError,
    PermissionDeniedError,
    NotFoundError,
    InvalidRequestError,
    ConflictError,
    RateLimitedError,
    ServerError,
    PresenceConnectionError,
    PresenceTimeoutError,
    DecodeError,
    JournalError,
    JournalLockedError,
)
CONTEXT: dict[str, Any] = {
    "status": 403,
    "code": "missing.permissions",
    "correlation_id": "5f0a",
    "method": "PATCH",
    "path_template": "/api/v2/users/{userId}/presences/purecloud",
    "retry_after": 12.5,
    "outcome_unknown": True,
    "attempts": 3,
}
OWN: dict[type[PresenceError], dict[str, Any]] = {
    PermissionDeniedError: {"missing_permissions": ("a:b:c", "a:b:d"), "needs_all": False},
    InvalidRequestError: {"field": "user_id"},
    DecodeError: {
        "row": 4,
        "field": "modifiedDate",
        "failures": (RowFailure(4, "modifiedDate", "expected a date, got a number", "u-1"),),
        "decoded": ["kept"],
    },
}


def full(kind: type[PresenceError]) -> PresenceError:
    """An error of that class with everything set."""
    return kind("it failed", **CONTEXT, **OWN.get(kind, {}))


def state(error: PresenceError) -> dict[str, Any]:
    """Everything an error knows."""
    names = ("message", *CONTEXT, *OWN.get(type(error), {}))
    return {name: getattr(error, name) for name in names}


def test_the_list_above_is_every_class_of_the_module():
    """A class added to the module is tested here too, and is public there."""
    found = {
        value
        for value in vars(errors).values()
        if inspect.isclass(value) and issubclass(value, PresenceError)
    }
    assert found == set(CLASSES)
    assert set(errors.__all__) == {kind.__name__ for kind in CLASSES} | {"RowFailure"}


def test_the_tree_in_the_docstring_is_the_tree():
    """Each class but the root is drawn in the module's docstring, and nothing else is."""
    drawn = {line.split()[1] for line in (errors.__doc__ or "").splitlines() if "──" in line}
    assert drawn == {kind.__name__ for kind in CLASSES if kind is not PresenceError}


@pytest.mark.parametrize("kind", CLASSES)
def test_every_error_is_a_presence_error_and_no_exit(kind: type[PresenceError]):
    """One except clause catches all of them, and none is caught as something worse."""
    assert issubclass(kind, PresenceError)
    assert issubclass(kind, Exception)


@pytest.mark.parametrize(
    ("kind", "builtin"),
    [
        (ConfigurationError, ValueError),
        (ClosedError, RuntimeError),
        (InvalidRequestError, ValueError),
        (PresenceConnectionError, ConnectionError),
        (PresenceConnectionError, OSError),
        (PresenceTimeoutError, TimeoutError),
        (PresenceTimeoutError, OSError),
    ],
)
def test_some_are_also_what_python_calls_them(
    kind: type[PresenceError],
    builtin: type[BaseException],
):
    """Code that catches the builtin catches ours, with its attributes intact."""
    with pytest.raises(builtin) as caught:
        raise full(kind)
    assert isinstance(caught.value, kind)
    assert state(caught.value) == state(full(kind))


@pytest.mark.parametrize("kind", CLASSES)
@pytest.mark.parametrize(
    "duplicate",
    [
        copy.copy,
        copy.deepcopy,
        *(
            lambda error, protocol=protocol: pickle.loads(pickle.dumps(error, protocol))  # noqa: S301  # our own bytes
            for protocol in range(pickle.HIGHEST_PROTOCOL + 1)
        ),
    ],
)
def test_pickle_and_copy_keep_everything(kind: type[PresenceError], duplicate: Any):
    """A round trip through a process pool or a copy loses no attribute, note or text."""
    error = full(kind)
    error.add_note("seen by a test")
    twin = duplicate(error)
    assert twin is not error
    assert type(twin) is kind
    assert state(twin) == state(error)
    assert twin.args == ("it failed",)
    assert str(twin) == str(error)
    assert repr(twin) == repr(error)
    assert twin.__notes__ == ["seen by a test"]


@pytest.mark.parametrize("kind", CLASSES)
def test_copies_are_independent(kind: type[PresenceError]):
    """Each waiter gets a copy of its own: what one sets, the others do not see."""
    error = full(kind)
    twin = copy.copy(error)
    twin.attempts, twin.retry_after = 9, None
    assert (error.attempts, error.retry_after) == (3, 12.5)


@pytest.mark.parametrize("kind", CLASSES)
def test_bare_error_knows_nothing_and_says_so(kind: type[PresenceError]):
    """With a message only, every part of the context has its empty value."""
    error = kind("it failed")
    empty = dict.fromkeys(CONTEXT) | {"outcome_unknown": False, "attempts": 0}
    assert {name: getattr(error, name) for name in CONTEXT} == empty
    assert str(error) == "it failed"
    assert repr(error) == f"{kind.__name__}('it failed')"


def test_defaults_of_the_classes_with_more():
    """What only one class has is empty unless given."""
    denied = PermissionDeniedError("no")
    assert (denied.missing_permissions, denied.needs_all) == ((), True)
    assert InvalidRequestError("no").field is None
    undecoded = DecodeError("no")
    assert (undecoded.row, undecoded.field) == (None, None)
    assert (undecoded.failures, undecoded.decoded) == ((), ())


@pytest.mark.parametrize("kind", CLASSES)
def test_text_tells_the_whole_story_in_one_line(kind: type[PresenceError]):
    """Operation, status, code, message, and what helps to act, in a fixed order."""
    assert str(full(kind)) == (
        "PATCH /api/v2/users/{userId}/presences/purecloud: 403 missing.permissions: it failed "
        "(retry after 12.5 s; the request may have taken effect; 3 attempts; "
        "correlation id 5f0a)"
    )


@pytest.mark.parametrize(
    ("context", "expected"),
    [
        ({"status": 404}, "404: it failed"),
        ({"code": "not.found"}, "not.found: it failed"),
        ({"method": "GET", "path_template": "/p"}, "GET /p: it failed"),
        ({"attempts": 1}, "it failed"),
        ({"retry_after": 0.0}, "it failed (retry after 0 s)"),
        ({"retry_after": 86400.0}, "it failed (retry after 86400 s)"),
        ({"outcome_unknown": True}, "it failed (the request may have taken effect)"),
    ],
)
def test_text_leaves_out_what_is_not_known(context: dict[str, Any], expected: str):
    """No None, no empty brackets, and one attempt is not worth a word."""
    assert str(PresenceError("it failed", **context)) == expected


def test_repr_shows_the_context_that_is_set():
    """A repr names the class and every part of the context, and only what is set."""
    assert repr(ServerError("it failed", status=503, attempts=2)) == (
        "ServerError('it failed', status=503, attempts=2)"
    )
    shown = repr(full(ServerError))
    assert all(f"{name}={value!r}" in shown for name, value in CONTEXT.items())


def test_context_can_be_filled_in_later():
    """Layers further out add what they know, and the text follows."""
    error = PresenceConnectionError("the connection broke")
    error.method, error.path_template, error.attempts = "GET", "/p", 2
    assert str(error) == "GET /p: the connection broke (2 attempts)"


def test_unknown_context_is_refused():
    """A misspelt keyword is an error, not an attribute nobody reads."""
    for kind in CLASSES:
        with pytest.raises(TypeError):
            kind("it failed", stauts=404)


def test_operating_system_attributes_do_not_interfere():
    """As an OSError, ours has no errno and no file name, whatever its message looks like."""
    error = PresenceConnectionError("2", status=None)
    assert (error.errno, error.filename, error.strerror) == (None, None, None)
    assert str(error) == "2"


def test_row_failure_is_a_value():
    """Rows at fault compare by value, cannot be changed, and survive a pickle."""
    failure = RowFailure(3, "source", "expected a string, got a number")
    assert failure == RowFailure(3, "source", "expected a string, got a number", None)
    assert pickle.loads(pickle.dumps(failure)) == failure  # noqa: S301  # our own bytes
    with pytest.raises(AttributeError):
        failure.row = 4  # type: ignore[misc]
