"""The command line: options → a report → its form → written out.

The only place that prints and that imports click. Read ``app`` first, then any of
``commands``.
"""

from connector.cli.app import main

__all__ = ["main"]
