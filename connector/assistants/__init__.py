"""The same reports for an assistant: read-only tools of the Model Context Protocol.

Comes in: a tool's name and arguments, and the ledger as it is at each call. Goes out: the
JSON of the command that gives the same figures, with what must be said beside it. Read
``tools`` first: it has each tool; ``answer`` puts beside a result until when it is known
and which windows are final, and ``server`` speaks the protocol.
"""
