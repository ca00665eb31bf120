-- As of a past moment, too, figures are read from the index alone: it asks for runs.

DROP INDEX movements_of_customer;

CREATE INDEX movements_of_customer
ON movements (customer, currency, day, kind, amount_minor, run);

-- SQLite answers NOT IN on a key twice as fast as NOT EXISTS.
DROP VIEW live_movements;

CREATE VIEW live_movements AS
SELECT * FROM movements WHERE id NOT IN (SELECT movement FROM retractions);
