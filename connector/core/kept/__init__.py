"""What a ledger keeps beside its movements, as values: columns, books, closed months.

Comes in: nothing. Goes out: the words in which the store hands these to who counts or
reports them. Read ``columns`` first.
"""
