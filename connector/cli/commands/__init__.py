"""A module a command, with a function of its name: options, a call, what is printed.

By what they do: ``figures`` answers of a ledger, ``ledger`` begins one, brings it up to
date and keeps it, ``serving`` stays and answers others. None imports another. Read
``figures.report`` first.
"""
