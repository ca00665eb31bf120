"""MRR that may go: whom to call, and the NRR that is already committed.

    AtRiskReports      one a currency, and what customers are called
      AtRiskReport     sums by reason, figures so far and committed
        CustomerAtRisk whom to call, with each of its risks

Comes in: an open ledger. Goes out: values (``model``). Read ``model`` first, then
``at_risk``, which asks ``future`` what is ahead, ``currency`` for figures and ``named``
for names.
"""
