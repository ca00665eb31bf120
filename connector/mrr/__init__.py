"""One customer's billing history → its MRR over time → its movements.

Comes in: a ``History`` and the rules. Goes out: movements, contract terms, what could not
be valued. Pure: no clock, no store, no network. ``derive`` is the whole way; read it
first. ``evidence`` reads what Stripe shows. ``current_mrr`` values a subscription a second
time, as it stands, by a reading of its own; ``reconciliation`` compares the two.
"""
