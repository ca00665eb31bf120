"""Movements → NRR, GRR, CRR and all that is printed beside them.

Comes in: what moved, by customer. Goes out: a window's figures, exact. Pure; knows no
Stripe and no store. ``retention`` is the one formula; read it first.
"""
