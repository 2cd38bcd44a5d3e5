-- The root secrets that things in this database were made with; never a secret itself. Expand only.

-- +goose Up
CREATE TABLE root_generations (
    id            TEXT PRIMARY KEY,
    first_used_at BIGINT NOT NULL,
    last_used_at  BIGINT NOT NULL,
    retired_at    BIGINT,
    audit_key     BYTEA
);

-- +goose Down
DROP TABLE root_generations;
