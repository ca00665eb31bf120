-- Figures of any other window read this index alone, each customer's days together.
DROP INDEX movements_of_customer;

CREATE INDEX movements_of_customer
ON movements (customer, currency, day, kind, amount_minor);

-- The standard windows' figures, each as the difference to the window before it, so
-- that a report need not read the movements. Kept in the transaction that posts them;
-- `check` counts them again.
CREATE TABLE window_sums (
    currency TEXT NOT NULL,
    kind     TEXT NOT NULL,  -- month, quarter, year, trailing-12
    start    TEXT NOT NULL,
    "end"    TEXT NOT NULL,
    opening_minor INTEGER NOT NULL,
    new_minor INTEGER NOT NULL,
    reactivation_minor INTEGER NOT NULL,
    expansion_minor INTEGER NOT NULL,
    contraction_minor INTEGER NOT NULL,
    churn_minor INTEGER NOT NULL,
    closing_minor INTEGER NOT NULL,
    paying INTEGER NOT NULL,
    base_customers INTEGER NOT NULL,
    base_kept INTEGER NOT NULL,
    base_expansion_minor INTEGER NOT NULL,
    base_contraction_minor INTEGER NOT NULL,
    base_churn_minor INTEGER NOT NULL,
    terms_ended INTEGER NOT NULL,
    terms_renewed INTEGER NOT NULL,
    terms_ended_minor INTEGER NOT NULL,
    terms_renewed_minor INTEGER NOT NULL,
    PRIMARY KEY (currency, kind, start)
) STRICT, WITHOUT ROWID;
