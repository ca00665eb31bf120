"""What Stripe shows of one subscription: which items, when they counted, at what price.

Comes in: line items, events and subscription versions. Goes out: item changes, active
periods, trials, pauses and taxes, each with the Stripe object that proves it. Read
``line_items`` first, then ``item_states`` and ``item_changes``.
"""
