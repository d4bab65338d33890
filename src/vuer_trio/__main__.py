"""``python -m vuer_trio``: the command ``vuer-trio``."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
