"""A module a command, with a function of its name: options, a call, what is printed.

None imports another. Read ``report`` first.
"""
