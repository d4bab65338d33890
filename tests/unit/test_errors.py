"""The tree of errors, and what each public module promises to hold."""

from __future__ import annotations

import copy
import importlib
import pickle
import pkgutil

import pytest
import trio

import vuer_trio
from vuer_trio import _errors
from vuer_trio._errors import VuerError, renew

BASES = {
    "ConnectionFailed": (ConnectionError,),
    "ConnectionClosed": (trio.BrokenResourceError, ConnectionError),
    "ClientClosed": (trio.ClosedResourceError, ConnectionError),
    "RecvTimeout": (trio.TooSlowError, TimeoutError),
    "CallTimeout": (trio.TooSlowError, TimeoutError),
    "Stale": (trio.TooSlowError, TimeoutError),
    "OutboxFull": (trio.WouldBlock,),
    "InboxFull": (trio.WouldBlock,),
    "InboxEmpty": (trio.WouldBlock,),
    "TaskCancelled": (),
    "ProtocolError": (ValueError,),
    "EncodeError": (TypeError,),
}
FIELDS = {
    "ConnectionFailed": {"uri": "ws://host", "status": 404},
    "ConnectionClosed": {"code": 1011, "reason": "why"},
    "ProtocolError": {"frame": b"\x00\xff"},
    "EncodeError": {"path": "value.pose[2]"},
}
DEFAULTS = {
    "ConnectionFailed": {"uri": "", "status": None},
    "ConnectionClosed": {"code": 1006, "reason": ""},
    "ProtocolError": {"frame": b""},
    "EncodeError": {"path": ""},
}

each_error = pytest.mark.parametrize("name", BASES)


def make(name):
    return getattr(vuer_trio, name)("it happened", **FIELDS.get(name, {}))


def contents(error):
    fields = {field: getattr(error, field) for field in FIELDS.get(type(error).__name__, {})}
    return type(error), str(error), error.args, fields


def test_the_tree_is_complete():
    assert set(_errors.__all__) == {*BASES, "VuerError"}
    found = {
        name
        for name, value in vars(_errors).items()
        if isinstance(value, type) and issubclass(value, VuerError)
    }
    assert found == set(_errors.__all__)


@each_error
def test_an_error_is_caught_by_each_of_its_bases(name):
    for base in (VuerError, *BASES[name]):
        with pytest.raises(base, match=r"^it happened$") as caught:
            raise make(name)
        assert type(caught.value) is getattr(vuer_trio, name)


@each_error
def test_an_error_is_not_caught_by_the_bases_of_the_others(name):
    for base in {base for bases in BASES.values() for base in bases} - set(BASES[name]):
        assert not isinstance(make(name), base)


@each_error
def test_an_error_can_be_made_of_nothing_and_has_no_errno(name):
    error = getattr(vuer_trio, name)()
    assert str(error) == ""
    for field, value in DEFAULTS.get(name, {}).items():
        assert getattr(error, field) == value
    if isinstance(error, OSError):
        assert (error.errno, error.strerror, error.filename) == (None, None, None)
        assert make(name).errno is None


@each_error
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_an_error_is_picklable_with_its_fields(name, protocol):
    error = make(name)
    error.add_note("a note")
    twin = pickle.loads(pickle.dumps(error, protocol))
    assert contents(twin) == contents(error)
    assert twin.__notes__ == ["a note"]


@each_error
@pytest.mark.parametrize("how", [copy.copy, copy.deepcopy])
def test_an_error_is_copyable_with_its_fields(name, how):
    error = make(name)
    twin = how(error)
    assert twin is not error
    assert contents(twin) == contents(error)


@each_error
def test_a_renewed_error_is_another_one_with_the_same_type_fields_and_cause(name):
    try:
        try:
            raise OSError("the cause")
        except OSError as cause:
            raise make(name) from cause
    except VuerError as exc:
        error = exc
    twin = renew(error)
    assert twin is not error
    assert contents(twin) == contents(error)
    assert twin.__cause__ is error.__cause__ is not None
    assert twin.__traceback__ is None


@pytest.mark.parametrize(
    ("code", "normal"), [(1000, True), (1001, True), (1005, False), (1006, False), (1011, False)]
)
def test_a_close_is_normal_for_two_codes(code, normal):
    assert vuer_trio.ConnectionClosed("x", code=code).normal is normal


# ---- what the modules promise

MODULES = [
    "vuer_trio",
    *(m.name for m in pkgutil.walk_packages(vuer_trio.__path__, "vuer_trio.")),
]


@pytest.mark.parametrize("name", MODULES)
def test_every_name_in_all_is_there_once(name):
    module = importlib.import_module(name)
    exported = getattr(module, "__all__", [])
    for each in exported:
        assert hasattr(module, each)
    assert len(set(exported)) == len(exported)


@pytest.mark.parametrize("name", [m for m in MODULES if "._" not in m])
def test_every_public_class_of_a_public_module_is_in_all(name):
    module = importlib.import_module(name)
    defined = {
        each
        for each, value in vars(module).items()
        if not each.startswith("_") and isinstance(value, type) and value.__module__ == name
    }
    assert defined <= set(module.__all__)


def test_the_top_level_has_the_documented_names():
    assert {
        "open_vuer_client",
        "VuerClient",
        "get_client_info",
        "Fifo",
        "VuerError",
        *BASES,
    } <= set(vuer_trio.__all__)
    namespace = {}
    exec("from vuer_trio import *", namespace)
    assert set(vuer_trio.__all__) <= set(namespace)
