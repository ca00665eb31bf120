"""A report's value → text, JSON, CSV, Markdown, HTML. Nothing is worked out or read here.

One module a report, on ``table`` and ``terminal``; ``page`` is the HTML. Read ``table``
first.
"""
