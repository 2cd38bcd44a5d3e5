-- Several nodes and restored copies. Expand only: a node of the release before goes on working on this schema.

-- +goose Up
-- trace is the W3C traceparent of the request that a challenge or a delivery began in; empty for none.
ALTER TABLE challenges ADD COLUMN trace TEXT NOT NULL DEFAULT '';
ALTER TABLE deliveries ADD COLUMN trace TEXT NOT NULL DEFAULT '';

-- Numbers that hold for the whole database. epoch goes up after an older copy was restored (REL-13); serves_from is the
-- oldest schema version whose releases work on this one. A migration that takes something away raises it.
CREATE TABLE installation (
    name  TEXT PRIMARY KEY,
    value BIGINT NOT NULL
);
INSERT INTO installation (name, value) VALUES ('epoch', 0), ('serves_from', 2);

CREATE INDEX consents_expires_at ON consents (expires_at) WHERE expires_at IS NOT NULL;

-- +goose Down
DROP INDEX consents_expires_at;
DROP TABLE installation;
ALTER TABLE deliveries DROP COLUMN trace;
ALTER TABLE challenges DROP COLUMN trace;
