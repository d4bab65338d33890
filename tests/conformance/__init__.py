"""Autobahn|Testsuite against every transport, and beside it the packages themselves.

``nox -s conformance`` runs it; `tests.conformance.run` is the program.
"""
