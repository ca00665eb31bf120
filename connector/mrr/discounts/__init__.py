"""All that shows discounts → when each applied, in which order, and to which items.

Comes in: line items, events and subscription versions, as ``evidence`` reads them. Goes
out: the discounts in force over time, and what each takes off each item. Read
``in_force`` first: it says how the others come together.
"""
