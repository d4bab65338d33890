"""``vuer-trio port``: check what a program written for `vuer` needs to run here."""

from __future__ import annotations

from ..port.command import DESCRIPTION, add_arguments, execute

__all__ = ["DESCRIPTION", "HELP", "add_arguments", "execute"]

HELP = "say what differs for a program written for vuer, or run it"
