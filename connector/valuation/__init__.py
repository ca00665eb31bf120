"""Today's MRR a second time, from Stripe's live objects, to hold the ledger to account.

Comes in: subscriptions as they stand and a customer's history. Goes out: what each is
worth now, and why that is not the ledger's figure. Pure, and apart from ``mrr``: of that
only the arithmetic of a price is shared. Read ``current_mrr`` first; ``reconciliation``
compares.
"""
