"""Stripe's read API: typed objects, lists and paging, one client, one rate limit.

Comes in: a key, and what is asked for. Goes out: typed objects, with when each was asked
for. Only ``http`` and ``client`` touch the network; ``objects``, ``events``, ``lists``,
``paging`` is pure values. Read ``objects`` first, then ``client``.
"""
