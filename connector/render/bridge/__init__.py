"""Another tool's figures and ours, and what leads from one to the other, in every form.

Comes in: a ``Reconciliation``. Goes out: text, JSON, CSV, a page. Read ``terminal`` first.
"""
