"""The real Roomz server as it would be much later, or with many more users.

``changed_roomz_server.py serve ...`` is ``python -m roomz serve ...``, except that it is full with
two clients, and that the clock of its magic links is as many seconds ahead as the file ``ahead``
says.
"""

from datetime import datetime, timedelta
from pathlib import Path

from roomz import __main__ as program

FULL = 2
AHEAD = Path("ahead")


class Clock(datetime):
    @classmethod
    def now(cls, tz=None):
        seconds = float(AHEAD.read_text()) if AHEAD.exists() else 0
        return datetime.now(tz) + timedelta(seconds=seconds)


def import_app(uri, real=program.import_app):
    app = real(uri)
    from roomz import server
    from roomz.server import auth

    server.MAX_CLIENTS = FULL
    validate_token = auth.magic_link_manager.validate_token

    def validate_later(token):
        auth.datetime = Clock  # not for sessions, which would begin in the future
        try:
            return validate_token(token)
        finally:
            auth.datetime = datetime

    auth.magic_link_manager.validate_token = validate_later
    return app


if __name__ == "__main__":
    program.import_app = import_app
    program.run()
