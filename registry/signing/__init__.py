"""Signed statements: in-toto statements in DSSE envelopes, and whether one still fits what it is about.

Only the core dependencies are needed here: a gate can check signatures where nothing can sign.
"""
