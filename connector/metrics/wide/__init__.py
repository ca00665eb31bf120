"""The same figures of everybody, counted over columns, some thousand customers at a time.

Comes in: a ledger's columns, as it packs them. Goes out: figures by window and segment,
cohorts, causes, losses. What is held does not grow with the ledger. Read ``columns``
first, then ``fold``. Nothing else imports numpy.
"""
