-- Causes and losses are counted over columns too; what was packed before is packed anew.
DELETE FROM packed_columns;

CREATE TABLE packed_components (
    chunk             INTEGER NOT NULL,  -- as in packed_columns
    currency          TEXT    NOT NULL,
    movement          BLOB    NOT NULL,  -- the ids of its movements, in their order
    parts             BLOB    NOT NULL,  -- how many components each of them has
    part_cause        BLOB    NOT NULL,  -- all of these
    part_amount_minor BLOB    NOT NULL,
    PRIMARY KEY (chunk, currency)
) STRICT;

CREATE TRIGGER packed_no_more_with_columns AFTER DELETE ON packed_columns
BEGIN DELETE FROM packed_components WHERE chunk = OLD.chunk; END;
