"""The one SQLite file: how it is opened, migrated, written and locked.

The only SQL of this package. ``mirror`` holds Stripe's objects as last seen, ``ledger``
the append-only movements and what is kept beside them. Read ``schema`` first.
"""
