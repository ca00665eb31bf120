"""Ledgers of several accounts → one ledger, which every report reads as it reads one.

Comes in: the configuration of each account (``open_accounts``). Goes out: a ledger in
which their figures add up, and who is one customer in several accounts is one. Nothing is
written. Read ``ledger`` first.
"""
