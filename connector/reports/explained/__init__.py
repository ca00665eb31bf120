"""A figure taken apart: a window's ratio by customer, a customer's MRR by movement.

Comes in: an open ledger, a window or a customer. Goes out: values that add up to the
figure. Read ``window`` first, then ``customer``; ``window_customers`` has everybody.
"""
