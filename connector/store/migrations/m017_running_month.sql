-- A month's MRR says, as its retention does, whether that is the end of it.

DROP VIEW mrr_by_month;

CREATE VIEW mrr_by_month AS
SELECT currency, substr(day, 1, 7) AS month, sum(sum(amount_minor)) OVER (
           PARTITION BY currency ORDER BY substr(day, 1, 7)) AS mrr_minor,
       date(substr(day, 1, 7) || '-01', '+1 month') <= coalesce(
           (SELECT value FROM settings WHERE name = 'known_until'), '')
       AND NOT EXISTS (SELECT 1 FROM dirty_customers)
       AND NOT EXISTS (SELECT 1 FROM refusals UNION SELECT 1 FROM set_aside)
           AS complete
FROM live_movements GROUP BY currency, substr(day, 1, 7);
