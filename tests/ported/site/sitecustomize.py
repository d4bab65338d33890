"""Found by the interpreters of compared programs: what a library prints is not the program's."""

import builtins
import sys

_print = builtins.print


def _sorted_print(*values, file=None, **options):
    name = sys._getframe(1).f_globals.get("__name__") or ""
    if file is None and name.split(".")[0] in ("vuer", "vuer_trio", "params_proto"):
        file = sys.stderr
    _print(*values, file=file, **options)


builtins.print = _sorted_print
