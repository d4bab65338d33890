"""A relay to embed: one port for ``/register``, ``/stats`` and ``/arc``."""

from __future__ import annotations

from .serving import Relay, open_arc_relay, serve_arc_relay

__all__ = ["Relay", "open_arc_relay", "serve_arc_relay"]
