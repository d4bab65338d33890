"""Every name that a program can import from `vuer` is here, or is on a short list of those that
are not."""

import importlib.util
import inspect
import itertools
import pkgutil
import types
import warnings

import pytest

from vuer_trio.port.imports import OURS
from vuer_trio.port.unoffered import MODULES, NAMES, why_not

pytestmark = pytest.mark.interop
vuer = pytest.importorskip("vuer")


def modules():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for found in pkgutil.walk_packages(vuer.__path__, "vuer."):
            if "test" not in found.name and "._" not in found.name:
                try:
                    yield importlib.import_module(found.name)
                except ImportError:  # of a package that is not installed: nobody can import it
                    assert why_not(found.name)
        yield vuer


def public(module):
    """Names that are the reference's own: defined in it, or constants that its modules make."""
    for name, item in vars(module).items():
        if name.startswith("_") or isinstance(item, types.ModuleType):
            continue
        if name in ("TYPE_CHECKING", "pi"):  # constants of the standard library
            continue
        origin = getattr(item, "__module__", None)
        if not isinstance(origin, str) or isinstance(item, itertools.count):
            # a constant, or an array, or a counter, which has one since Python 3.14
            origin = module.__name__
        if origin.split(".")[0] == "vuer" and not _is_of_typing(item):
            yield name


def _is_of_typing(item):
    return getattr(item, "__module__", None) == "typing"


ALL = [(module.__name__, name) for module in modules() for name in public(module)]


def is_here(module, name):
    try:
        ours = importlib.import_module(OURS + module.removeprefix("vuer"))
    except ImportError:
        return False
    return hasattr(ours, name)


def test_enough_is_looked_at():
    assert len(ALL) > 400
    assert len({module for module, _ in ALL}) > 25


@pytest.mark.parametrize("module", sorted({module for module, _ in ALL}))
def test_every_name_is_here_or_on_the_list(module):
    missing = [n for m, n in ALL if m == module and not is_here(m, n) and not why_not(m, n)]
    assert missing == []


def test_nothing_on_the_list_is_here():
    listed = [key.rpartition(".") for key in NAMES]
    assert not [f"{m}.{n}" for m, _, n in listed if is_here(m, n)]


def test_everything_on_the_list_is_a_name_there():
    assert set(NAMES) <= {f"{m}.{n}" for m, n in ALL}
    for module in MODULES:
        assert importlib.util.find_spec(module) is not None


@pytest.mark.parametrize("module", ["html", "scene", "drei", "physics", "material", "vuer"])
def test_the_modules_of_elements_are_complete(module):
    theirs = importlib.import_module(f"vuer.schemas.{module}_components")
    ours = importlib.import_module(f"vuer_trio.schemas.{module}_components")
    classes = {
        name
        for name, item in vars(theirs).items()
        if inspect.isclass(item) and item.__module__.startswith("vuer.") and name[0] != "_"
    }
    assert classes == {name for name in ours.__all__ if name != "IMAGE_FORMATS"}
    for name in classes - {"Url"}:
        their_tag = getattr(getattr(theirs, name), "tag", None)
        assert getattr(getattr(ours, name), "tag", None) == their_tag


def test_the_classes_of_the_server_are_the_same_by_each_of_their_names():
    from vuer_trio import Vuer, VuerClient, VuerSession, base, client, events, rtc, server, types

    assert base.Server is Vuer is server.Vuer is server.Server
    assert issubclass(VuerSession, server.SceneOps)
    assert client.VuerClient is VuerClient
    assert server.Set is events.Set
    assert events.Scene.tag == "Scene"
    assert issubclass(rtc.SceneStore, server.SceneOps)
    assert server.Url is types.Url
    for module in (events, server):
        with pytest.raises(AttributeError, match="no attribute 'nothing'"):
            module.nothing
