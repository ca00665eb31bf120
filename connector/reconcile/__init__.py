"""Another tool's MRR files and an open ledger → where they differ, and by what causes.

Comes in: CSV files, read as streams, and a ledger. Goes out: one plain value, which
``render.bridge`` writes down. Not to be confused with ``valuation.reconciliation``,
which holds today's MRR to Stripe's objects. Read ``reconcile`` first.
"""
