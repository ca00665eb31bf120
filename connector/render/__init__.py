"""A report's value → text, JSON, CSV, Markdown, HTML. Nothing is worked out or read here.

One module a report, on ``table``, ``csv_table`` and ``terminal``; ``report`` has the forms
of a report of windows, ``page`` is the HTML. Read ``table`` first.
"""
