"""Stripe → mirror → ledger: sync, recompute of dirty customers, scheduled job, doctor.

Comes in: a connection to Stripe and an open ledger. Goes out: a ledger brought up to
date, and what that took. Read ``sync`` first, then ``recompute``.
"""
