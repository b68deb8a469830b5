-- Who changed what, and who was refused: every entry of every chain of the audit, each once.
CREATE TABLE audit (
    id bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    chain text NOT NULL,
    number bigint NOT NULL,
    feed integer NOT NULL REFERENCES feeds (id),
    sequence bigint NOT NULL,
    stored timestamptz NOT NULL,
    at timestamptz NOT NULL,
    kind text NOT NULL,
    caller text,
    host text NOT NULL,
    subject text NOT NULL,
    target text NOT NULL,
    outcome text NOT NULL,
    entry text NOT NULL,
    PRIMARY KEY (chain, number)
);
CREATE INDEX audit_at ON audit (at);
CREATE INDEX audit_caller ON audit (caller, id);
CREATE INDEX audit_target ON audit (target, id);
COMMENT ON COLUMN audit.id IS 'in the order in which NATS had stored them';
COMMENT ON COLUMN audit.sequence IS 'of the message that it was in, in the stream';
COMMENT ON COLUMN audit.entry IS 'the entry byte for byte: its hash is of this text';
