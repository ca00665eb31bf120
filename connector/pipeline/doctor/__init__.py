"""What may stand in the way of a sync: each found by a check, with what to do about it.

Comes in: the configuration, the environment, and whether Stripe may be asked. Goes out: a
verdict a check. Nothing is written. Read ``checks`` first.
"""
