-- The figures of standard windows, from movements and terms, in whole minor units: what
-- connector/metrics/retention.py says of them, for any number of customers. It divides
-- nothing. The same text is run by SQLite, DuckDB and Spark.
--
-- It reads three tables:
--   movements  customer, currency, day, kind, amount_minor, before_minor, after_minor:
--              at most one a customer, currency and day
--   terms      customer, currency, subscription, day, before_minor, after_minor
--   asked      kind, first_day (in), end_day (out), month: a row for each month of each
--              window, as 2026-03
--
-- A window needs the sums of all days before it, and of those customers who moved in it
-- what each paid at both ends: the rest paid the same at both. So a movement is looked
-- at once for each window it lies in, and a customer never for a window it slept through.
WITH
spans AS (
    SELECT DISTINCT kind, first_day, end_day FROM asked
),
daily AS (
    SELECT currency, day,
           sum(amount_minor) AS mrr_minor,
           sum(CASE WHEN before_minor = 0 THEN 1
                    WHEN after_minor = 0 THEN -1 ELSE 0 END) AS paying,
           sum(CASE WHEN kind = 'new' THEN amount_minor ELSE 0 END) AS new_minor,
           sum(CASE WHEN kind = 'reactivation' THEN amount_minor ELSE 0 END)
               AS reactivation_minor,
           sum(CASE WHEN kind = 'expansion' THEN amount_minor ELSE 0 END)
               AS expansion_minor,
           sum(CASE WHEN kind = 'contraction' THEN -amount_minor ELSE 0 END)
               AS contraction_minor,
           sum(CASE WHEN kind = 'churn' THEN -amount_minor ELSE 0 END) AS churn_minor
    FROM movements
    GROUP BY currency, day
),
waterfalls AS (
    SELECT daily.currency, spans.kind, spans.first_day, spans.end_day,
           sum(CASE WHEN daily.day < spans.first_day THEN mrr_minor ELSE 0 END)
               AS opening_minor,
           sum(CASE WHEN daily.day >= spans.first_day THEN new_minor ELSE 0 END)
               AS new_minor,
           sum(CASE WHEN daily.day >= spans.first_day THEN reactivation_minor ELSE 0 END)
               AS reactivation_minor,
           sum(CASE WHEN daily.day >= spans.first_day THEN expansion_minor ELSE 0 END)
               AS expansion_minor,
           sum(CASE WHEN daily.day >= spans.first_day THEN contraction_minor ELSE 0 END)
               AS contraction_minor,
           sum(CASE WHEN daily.day >= spans.first_day THEN churn_minor ELSE 0 END)
               AS churn_minor,
           sum(mrr_minor) AS closing_minor,
           sum(paying) AS paying,
           sum(CASE WHEN daily.day < spans.first_day THEN paying ELSE 0 END)
               AS base_customers
    FROM daily JOIN spans ON daily.day < spans.end_day
    GROUP BY daily.currency, spans.kind, spans.first_day, spans.end_day
),
neighbours AS (
    SELECT customer, currency, day, before_minor, after_minor,
           substr('' || day, 1, 7) AS month,
           lag(day) OVER (PARTITION BY customer, currency ORDER BY day) AS previous_day,
           lead(day) OVER (PARTITION BY customer, currency ORDER BY day) AS next_day
    FROM movements
),
-- What each customer who moved paid at the opening and pays at the closing.
moved AS (
    SELECT neighbours.customer, neighbours.currency, asked.kind, asked.first_day,
           asked.end_day,
           sum(CASE WHEN previous_day IS NULL OR previous_day < asked.first_day
                    THEN before_minor ELSE 0 END) AS start_minor,
           sum(CASE WHEN next_day IS NULL OR next_day >= asked.end_day
                    THEN after_minor ELSE 0 END) AS end_minor
    FROM neighbours JOIN asked ON asked.month = neighbours.month
    GROUP BY neighbours.customer, neighbours.currency, asked.kind, asked.first_day,
             asked.end_day
),
compared AS (
    SELECT currency, kind, first_day, end_day,
           sum(CASE WHEN start_minor > 0 AND end_minor = 0 THEN 1 ELSE 0 END) AS gone,
           sum(CASE WHEN end_minor > start_minor THEN end_minor - start_minor ELSE 0 END)
               AS expansion_minor,
           sum(CASE WHEN end_minor > 0 AND end_minor < start_minor
                    THEN start_minor - end_minor ELSE 0 END) AS contraction_minor,
           sum(CASE WHEN end_minor = 0 THEN start_minor ELSE 0 END) AS churn_minor
    FROM moved
    WHERE start_minor > 0
    GROUP BY currency, kind, first_day, end_day
),
ended AS (
    SELECT currency, day, before_minor, after_minor,
           substr('' || day, 1, 7) AS month,
           lead(day) OVER (
               PARTITION BY customer, currency, subscription ORDER BY day) AS next_day
    FROM terms
),
-- A subscription counts once, by its last term in the window.
renewals AS (
    SELECT ended.currency, asked.kind, asked.first_day, asked.end_day,
           count(*) AS ended, sum(before_minor) AS ended_minor,
           sum(CASE WHEN after_minor > 0 THEN 1 ELSE 0 END) AS renewed,
           sum(CASE WHEN after_minor > 0 THEN before_minor ELSE 0 END) AS renewed_minor
    FROM ended JOIN asked ON asked.month = ended.month
    WHERE next_day IS NULL OR next_day >= asked.end_day
    GROUP BY ended.currency, asked.kind, asked.first_day, asked.end_day
)
SELECT w.currency, w.kind, w.first_day, w.end_day,
       CAST(w.opening_minor AS BIGINT) AS opening_minor,
       CAST(w.new_minor AS BIGINT) AS new_minor,
       CAST(w.reactivation_minor AS BIGINT) AS reactivation_minor,
       CAST(w.expansion_minor AS BIGINT) AS expansion_minor,
       CAST(w.contraction_minor AS BIGINT) AS contraction_minor,
       CAST(w.churn_minor AS BIGINT) AS churn_minor,
       CAST(w.closing_minor AS BIGINT) AS closing_minor,
       CAST(w.paying AS BIGINT) AS paying,
       CAST(w.base_customers AS BIGINT) AS base_customers,
       CAST(w.base_customers - coalesce(c.gone, 0) AS BIGINT) AS base_kept,
       CAST(coalesce(c.expansion_minor, 0) AS BIGINT) AS base_expansion_minor,
       CAST(coalesce(c.contraction_minor, 0) AS BIGINT) AS base_contraction_minor,
       CAST(coalesce(c.churn_minor, 0) AS BIGINT) AS base_churn_minor,
       CAST(coalesce(r.ended, 0) AS BIGINT) AS terms_ended,
       CAST(coalesce(r.renewed, 0) AS BIGINT) AS terms_renewed,
       CAST(coalesce(r.ended_minor, 0) AS BIGINT) AS terms_ended_minor,
       CAST(coalesce(r.renewed_minor, 0) AS BIGINT) AS terms_renewed_minor
FROM waterfalls AS w
LEFT JOIN compared AS c
  ON c.currency = w.currency AND c.kind = w.kind AND c.first_day = w.first_day
LEFT JOIN renewals AS r
  ON r.currency = w.currency AND r.kind = w.kind AND r.first_day = w.first_day
ORDER BY w.currency, w.kind, w.first_day
