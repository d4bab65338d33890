"""Which files a server serves: ``workspace=``, ``static_root=`` and ``VUER_WORKSPACE``."""

from __future__ import annotations

import os
from typing import Any

from .._formatting import must_be
from ..workspace import Workspace, workspace_from_config

__all__ = ["CurrentFolder", "take_workspace"]


class CurrentFolder(Workspace):
    """What is served by default: the current folder, to this machine only."""


def take_workspace(options: dict[str, Any]) -> None:
    """Make ``workspace`` of what was given. ``static_root`` is its old name, and takes precedence,
    as in the reference. Raises TypeError that names the option.
    """
    static_root, workspace = options.get("static_root"), options.get("workspace")
    config = workspace if static_root is None else static_root
    if config is None:
        config = os.environ.get("VUER_WORKSPACE") or None
    options["workspace"] = CurrentFolder() if config is None else workspace_from_config(config)
    path = options.get("workspace_path", "")
    if not isinstance(path, str):
        raise TypeError(must_be("workspace_path", "a str", path, "use '/workspace/scratch'"))
