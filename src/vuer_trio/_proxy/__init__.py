"""A proxy between browsers and a server, which shows what goes through it to a recorder."""
