"""Commands that answer of a ledger, and write nothing into it.

Read ``report`` first: all of them are like it, and most are shorter.
"""
