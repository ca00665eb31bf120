"""The figures of any windows: of everybody, of some customers, of all currencies in one.

Comes in: an open ledger, a currency, windows. Goes out: ``WindowFigures``. Read
``windows`` first; ``segments`` says what customers are told apart by, ``currency_total``
adds currencies up.
"""
