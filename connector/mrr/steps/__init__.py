"""One subscription's evidence → its items' MRR, step by step.

Comes in: what Stripe shows of a subscription, and the policy. Goes out: each item's steps
with their proofs, and what could not be valued. ``facts`` are worked out once; wherever one
of them changes (``instants``), the items are valued anew (``subscription_steps``).
"""
