"""Closed months: what is reported of one, and what was booked in it since.

Comes in: an open ledger and a month. Goes out: what was closed, what it lacks, what has
changed. Read ``closed_months`` first; ``lacks`` says what a month must not be closed
without, ``restatements`` what later runs have changed.
"""
