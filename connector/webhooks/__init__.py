"""Stripe's events in, durable, and the customers they name recomputed within seconds.

Comes in: signed requests. Goes out: events in the inbox, then a ledger brought up to
date. Read ``endpoint`` first, then ``worker`` and ``apply_events``.
"""
