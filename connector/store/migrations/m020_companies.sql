-- Customers that are one company; who is by itself is not in here.

CREATE TABLE companies (
    customer   TEXT PRIMARY KEY,  -- Stripe's cus_...
    named      TEXT NOT NULL,     -- its company, as its metadata or a file says it
    counted_as TEXT NOT NULL      -- whose figures it is in: a company's company counts
) STRICT, WITHOUT ROWID;
