-- What an invoice that is set aside says it bills, where that can be read.

ALTER TABLE set_aside ADD COLUMN currency TEXT NOT NULL DEFAULT '';

ALTER TABLE set_aside ADD COLUMN amount_minor INTEGER NOT NULL DEFAULT 0;

ALTER TABLE set_aside ADD COLUMN billed_s INTEGER NOT NULL DEFAULT 0;
