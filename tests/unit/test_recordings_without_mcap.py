"""Where ``mcap`` is not installed, the error says what to do about it on that Python."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from vuer_trio.record import errors


@pytest.fixture
def no_mcap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mcap", None)


@pytest.mark.parametrize("version", [(3, 11), (3, 14)])
def test_it_can_be_installed(monkeypatch: Any, no_mcap: None, version: tuple[int, int]) -> None:
    monkeypatch.setattr(errors, "sys", SimpleNamespace(version_info=version))
    with pytest.raises(ImportError, match=r"recordings need mcap: pip install 'vuer-trio\[mcap\]'"):
        errors.needed()


def test_its_extra_leaves_it_out(monkeypatch: Any, no_mcap: None) -> None:
    monkeypatch.setattr(errors, "sys", SimpleNamespace(version_info=(3, 15)))
    with pytest.raises(ImportError) as error:
        errors.needed()
    assert "leaves out on Python 3.15 and newer" in str(error.value)
    assert "Use Python 3.11 to 3.14, or, with a C compiler, pip install mcap" in str(error.value)
    assert "'vuer-trio[mcap]'" not in str(error.value)  # which would change nothing
