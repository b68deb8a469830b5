-- How far each stream has been copied. A stream that was deleted and made anew is another incarnation of it: its
-- sequences begin again.
CREATE TABLE feeds (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    stream text NOT NULL,
    incarnation text NOT NULL,
    began timestamptz NOT NULL,
    reached bigint NOT NULL DEFAULT 0,
    log text NOT NULL DEFAULT '',
    sequence bigint NOT NULL DEFAULT 0,
    written timestamptz NOT NULL DEFAULT now(),
    UNIQUE (stream, incarnation)
);
COMMENT ON COLUMN feeds.incarnation IS 'the time at which the stream was created, to the nanosecond';
COMMENT ON COLUMN feeds.reached IS 'every message up to this sequence was copied, as far as it was there to be had';
COMMENT ON COLUMN feeds.log IS 'the stream that it was copied from, by the time at which that was created';
COMMENT ON COLUMN feeds.sequence IS 'the newest message of that stream that was copied';

-- Every change of the configuration of every scope, each once.
CREATE TABLE config_history (
    feed integer NOT NULL REFERENCES feeds (id),
    revision bigint NOT NULL,
    scope text NOT NULL,
    changed timestamptz NOT NULL,
    kind text,
    author text,
    reason text,
    record json,
    raw bytea,
    PRIMARY KEY (feed, revision)
);
CREATE INDEX config_history_scope ON config_history (feed, scope, revision DESC);
COMMENT ON COLUMN config_history.changed IS 'when it was changed, or, where it does not say so, when it was logged';
COMMENT ON COLUMN config_history.record IS 'the record as it was stored; null where the key was deleted, or it is no JSON';
COMMENT ON COLUMN config_history.raw IS 'what was stored, where it is no JSON';
