"""The ledger → one plain value a report; what a program that imports this package calls.

Comes in: an open ledger, the configuration, the moment it is, and what is asked for. Goes
out: a value, which ``render`` writes down. Nothing is printed. Read ``report`` first.
"""
