"""The same derivation over Parquet, where one SQLite file is too small.

Comes in: a folder of Stripe's objects in Parquet. Goes out: a folder a run, of movements
and what belongs to them. Read ``derive`` first, then ``engine``; ``duckdb`` and ``spark``
only bring rows to it, sorted by customer, and take down what it makes of them.
"""
