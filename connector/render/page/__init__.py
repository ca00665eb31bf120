"""A report as one HTML file that needs nothing else: cards, charts, lists.

Comes in: a report's value with what belongs to it. Goes out: the page. Read ``page``
first: ``figures`` and ``charts`` give what is drawn its coordinates (``svg``), and the
templates write every value down by ``filters``.
"""
