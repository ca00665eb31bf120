"""The same reports in a browser: routes and templates, read-only.

Comes in: HTTP requests, and the ledger as it is at each. Goes out: pages, and the same
figures as CSV and JSON. Read ``app`` first: it finds a page's module (``pages``) by its
path; ``query`` reads what a URL asks, ``ledger_reader`` opens the ledger, and each page
makes a ``PageAnswer``.
"""
