"""Stripe's objects as last seen, and whose movements must be derived anew.

Comes in: typed objects with when they were asked for. Goes out: one ``History`` a
customer. Read ``objects`` first, then ``histories``.
"""
