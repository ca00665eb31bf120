"""One customer's billing history → its MRR over time → its movements.

Comes in: a ``History`` and the rules. Goes out: movements, contract terms, where invoiced
amounts belong, what could not be valued. Pure: no clock, no store, no network. ``derive``
is the whole way; read it first. ``evidence`` reads what Stripe shows, ``discounts`` what
is taken off by it and until when; ``steps`` values what they found.
"""
