"""The switches are documented and cannot be misspelt."""

import attrs
import pytest

from presence_async.simulator import Switches


def test_each_switch_is_documented():
    """Every field is described in the docstring of the class."""
    text = Switches.__doc__ or ""
    assert [name for name in attrs.fields_dict(Switches) if name not in text] == []


def test_unknown_switches_are_refused():
    """A misspelt switch is an error, and switches do not change afterwards."""
    with pytest.raises(TypeError):
        Switches(bulk_get="x")
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        Switches().user_me = True
