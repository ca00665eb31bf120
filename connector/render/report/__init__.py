"""A report of windows → every form that it is written in.

Comes in: a ``Report``. Goes out: cells, and the texts and JSON of them. Read ``tables``
first; ``footnotes`` says what a reader must know, ``missing`` what stands above it all.
"""
