"""What is invoiced outside of subscriptions: which lines, and which of them recur.

Comes in: a customer's invoices. Goes out: the lines of no subscription item, the series
that bill the same again and again, and their MRR where the policy counts them. Read
``lines`` first, then ``series``.
"""
