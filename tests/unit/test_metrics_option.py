"""The option ``metrics``, and the package that it needs."""

from __future__ import annotations

import sys

import pytest

from vuer_trio import Vuer


def test_it_is_a_bool():
    with pytest.raises(TypeError, match="metrics must be a bool, got 'yes'"):
        Vuer(metrics="yes")


def test_without_its_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(ImportError, match=r"pip install 'vuer-trio\[metrics\]'"):
        Vuer(metrics=True)
    Vuer()
