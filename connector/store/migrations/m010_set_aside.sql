-- Objects as Stripe shows them that do not fit: the current state, by name.

CREATE TABLE set_aside (
    kind         TEXT    NOT NULL,  -- the mirror's table that it would be in
    id           TEXT    NOT NULL,
    customer     TEXT    NOT NULL,  -- '' where it names none
    subscription TEXT    NOT NULL,  -- likewise
    field        TEXT    NOT NULL,
    value        TEXT    NOT NULL,  -- fit to be shown
    fetched_us   INTEGER NOT NULL,
    PRIMARY KEY (kind, id)
) STRICT, WITHOUT ROWID;

-- Whose it is: as it says, else as its last good copy, else as its subscription.
CREATE VIEW set_aside_by_customer AS
SELECT kind, id, coalesce(
    nullif(customer, ''),
    CASE kind
    WHEN 'subscriptions' THEN
        (SELECT s.customer FROM stripe_subscriptions AS s WHERE s.id = set_aside.id)
    WHEN 'invoices' THEN
        (SELECT i.customer FROM stripe_invoices AS i WHERE i.id = set_aside.id)
    WHEN 'invoice_items' THEN
        (SELECT i.customer FROM stripe_invoice_items AS i WHERE i.id = set_aside.id)
    END,
    (SELECT s.customer FROM stripe_subscriptions AS s
     WHERE s.id = set_aside.subscription),
    ''
) AS customer, field, value
FROM set_aside;

-- Where one is set aside, something is missing.
DROP VIEW nrr_by_month;

DROP VIEW nrr_trailing_12;

CREATE VIEW nrr_by_month AS
WITH RECURSIVE
span AS (
    SELECT currency, date(min(day), 'start of month') AS first,
           (SELECT date(max(day), 'start of month') FROM live_movements) AS last
    FROM live_movements GROUP BY currency
),
windows (currency, month, first, last) AS (
    SELECT currency, first, first, last FROM span
    UNION ALL
    SELECT currency, date(month, '+1 month'), first, last
    FROM windows WHERE month < last
),
balances AS (
    SELECT windows.currency, windows.month, customer,
           sum(CASE WHEN day < date(windows.month, '+0 months')
                    THEN amount_minor ELSE 0 END) AS opening_minor,
           sum(amount_minor) AS closing_minor
    FROM windows JOIN live_movements
      ON live_movements.currency = windows.currency
     AND day < date(windows.month, '+1 month')
    GROUP BY windows.currency, windows.month, customer
)
SELECT currency, substr(month, 1, 7) AS month,
       count(*) FILTER (WHERE opening_minor > 0) AS customers,
       total(opening_minor) AS opening_minor,
       total(closing_minor) FILTER (WHERE opening_minor > 0) AS closing_minor,
       total(closing_minor) FILTER (WHERE opening_minor > 0)
           / nullif(total(opening_minor), 0) AS nrr,
       total(min(opening_minor, closing_minor))
           / nullif(total(opening_minor), 0) AS grr,
       1.0 * count(*) FILTER (WHERE opening_minor > 0 AND closing_minor > 0)
           / nullif(count(*) FILTER (WHERE opening_minor > 0), 0) AS crr,
       date(month, '+1 month') <= coalesce(
           (SELECT value FROM settings WHERE name = 'known_until'), '')
       AND NOT EXISTS (SELECT 1 FROM dirty_customers)
       AND NOT EXISTS (SELECT 1 FROM refusals UNION SELECT 1 FROM set_aside) AS complete
FROM balances GROUP BY currency, month;

CREATE VIEW nrr_trailing_12 AS
WITH RECURSIVE
span AS (
    SELECT currency, date(min(day), 'start of month') AS first,
           (SELECT date(max(day), 'start of month') FROM live_movements) AS last
    FROM live_movements GROUP BY currency
),
windows (currency, month, first, last) AS (
    SELECT currency, first, first, last FROM span
    UNION ALL
    SELECT currency, date(month, '+1 month'), first, last
    FROM windows WHERE month < last
),
balances AS (
    SELECT windows.currency, windows.month, customer,
           sum(CASE WHEN day < date(windows.month, '-11 months')
                    THEN amount_minor ELSE 0 END) AS opening_minor,
           sum(amount_minor) AS closing_minor
    FROM windows JOIN live_movements
      ON live_movements.currency = windows.currency
     AND day < date(windows.month, '+1 month')
    GROUP BY windows.currency, windows.month, customer
)
SELECT currency, substr(month, 1, 7) AS month,
       count(*) FILTER (WHERE opening_minor > 0) AS customers,
       total(opening_minor) AS opening_minor,
       total(closing_minor) FILTER (WHERE opening_minor > 0) AS closing_minor,
       total(closing_minor) FILTER (WHERE opening_minor > 0)
           / nullif(total(opening_minor), 0) AS nrr,
       total(min(opening_minor, closing_minor))
           / nullif(total(opening_minor), 0) AS grr,
       1.0 * count(*) FILTER (WHERE opening_minor > 0 AND closing_minor > 0)
           / nullif(count(*) FILTER (WHERE opening_minor > 0), 0) AS crr,
       date(month, '+1 month') <= coalesce(
           (SELECT value FROM settings WHERE name = 'known_until'), '')
       AND NOT EXISTS (SELECT 1 FROM dirty_customers)
       AND NOT EXISTS (SELECT 1 FROM refusals UNION SELECT 1 FROM set_aside) AS complete
FROM balances GROUP BY currency, month;
