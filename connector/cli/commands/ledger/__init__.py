"""Commands that begin a ledger, bring it up to date, write into it, and look after it.

Read ``sync`` first.
"""
