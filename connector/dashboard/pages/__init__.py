"""The pages: a module each, named as the page's path is.

Comes in: what a request asks (``answer.PageRequest``). Goes out: an ``answer.PageAnswer``.
Each has ``answer``, the parameters that it knows (``KNOWN``) and, where it has figures of
who pays, what it gives where nobody ever did (``NOTHING``). Read ``overview`` first.
"""
