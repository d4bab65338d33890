"""A test kit: a client and a server in memory, a headset of a script, faults, cancellations."""
