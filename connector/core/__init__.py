"""The words of the field: money, dates, windows, the policy, and the nouns of all others.

Pure; imports nothing of this package. Read ``model`` first.
"""
