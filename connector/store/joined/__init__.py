"""Several ledgers' rows in one file without a name, under keys of their own.

Comes in: open ledgers. Goes out: one, filled with what is asked of it: sums alone cost
some milliseconds a ledger, and components are most of the rest. Nothing is written
anywhere else. Read ``database`` first.
"""
