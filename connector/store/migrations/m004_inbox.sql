-- Webhook events as they arrived: hints which objects to fetch, never their content.
CREATE TABLE inbox (
    number      INTEGER PRIMARY KEY,      -- in order of arrival
    event       TEXT    NOT NULL UNIQUE,  -- the same event again is no second row
    type        TEXT    NOT NULL,
    names       TEXT    NOT NULL CHECK (json_valid(names)),  -- [[kind, id], …]
    received_us INTEGER NOT NULL,
    state       TEXT    NOT NULL DEFAULT 'waiting'
                CHECK (state IN ('waiting', 'done', 'dead')),
    tries       INTEGER NOT NULL DEFAULT 0,  -- that ended in an error of its own
    due_us      INTEGER NOT NULL,            -- not to be tried before
    settled_us  INTEGER CHECK ((settled_us IS NULL) = (state = 'waiting')),
    error       TEXT                         -- of the last try
) STRICT;

CREATE INDEX inbox_due ON inbox (due_us, number) WHERE state = 'waiting';

CREATE INDEX inbox_settled ON inbox (state, settled_us) WHERE state <> 'waiting';
