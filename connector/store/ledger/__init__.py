"""The append-only movements, and what is kept beside them: rollups, terms, closed months.

Comes in: what was derived. Goes out: movements and figures, now or as of a past moment.
Read ``queries`` first; ``posting`` is how it is written.
"""
