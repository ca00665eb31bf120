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
       AND NOT EXISTS (SELECT 1 FROM refusals) AS complete
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
       AND NOT EXISTS (SELECT 1 FROM refusals) AS complete
FROM balances GROUP BY currency, month;
