"""The programs of ``docs/why.md``: the same three situations with six clients, at one server."""
