"""What a person wants to be told since the last time, and when there is nothing to tell.

Comes in: an open ledger, and what was told before. Goes out: one ``Digest``, as text,
Markdown, HTML, JSON, or the body of a Slack webhook. Read ``news`` first.
"""
