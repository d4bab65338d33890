"""The real Roomz server as a child: ``roomz_server.py PORT``; with one word more, a changed one.

It is killed with all its workers when stdin ends, and stopped with SIGTERM at a line ``stop``.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

ALLOWED = 400  # u0@example.com, u1@example.com, ...


def main() -> None:
    environment = {
        **os.environ,
        "JWT_SECRET_KEY": "the same for every start, so that sessions survive it",
        "ALLOWED_EMAILS": ",".join(f"u{n}@example.com" for n in range(ALLOWED)),
        "EMAIL_SENDER": "console",
        "PYTHONUNBUFFERED": "1",
        # gunicorn is looked for there
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
    }
    changed = str(Path(__file__).with_name("changed_roomz_server.py"))
    program = [changed] if len(sys.argv) > 2 else ["-m", "roomz"]
    server = subprocess.Popen(
        [sys.executable, *program, "serve", "--server-bind", f"127.0.0.1:{sys.argv[1]}"],
        env=environment,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )
    stopping = sys.stdin.readline() == "stop\n"
    os.killpg(server.pid, signal.SIGTERM if stopping else signal.SIGKILL)
    try:
        server.wait(60)
    finally:
        if server.returncode is None:
            os.killpg(server.pid, signal.SIGKILL)


if __name__ == "__main__":
    main()
