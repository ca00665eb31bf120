"""What was said of months: their figures as reported, the seals over them, and notes.

Comes in: a month's figures, or a text. Goes out: what was recorded, append-only. Read
``closings`` first.
"""
