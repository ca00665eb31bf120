-- Accounts that are customers, as any object has named both: some name the Account alone.

CREATE TABLE customer_accounts (
    account TEXT PRIMARY KEY,
    customer TEXT NOT NULL
) STRICT, WITHOUT ROWID;
