"""The figures of any windows: of everybody, of some customers, of all currencies in one.

Comes in: an open ledger, a currency, windows. Goes out: ``WindowFigures``. Read
``windows`` first; ``segments`` says what customers are told apart by, ``currency_books``
has one currency's movements, and ``currency_total`` is the same of all in one.
"""
