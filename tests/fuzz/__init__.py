"""Parsers under inputs that a fuzzer finds, each beside an oracle.

`targets` has one file for each: ``one_input(data)`` raises for a fault, ``seeds()`` are inputs to
begin with. ``python -m tests.fuzz NAME`` looks for inputs that take new ways through the library
(atheris, and so libFuzzer), which are kept in ``corpus/NAME.zip``; `test_corpus` goes through all
that were kept, without a fuzzer.
"""
