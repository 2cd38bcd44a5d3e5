-- One text for SQLite and PostgreSQL. Times are BIGINT milliseconds since 1970 in UTC, NULL for none; lists and records
-- are JSON in TEXT. SQLite takes any type name: BYTEA keeps blobs, BOOLEAN keeps 0 and 1.

-- +goose Up
CREATE TABLE persons (
    id            TEXT PRIMARY KEY,
    username      TEXT NOT NULL UNIQUE,
    claims        BYTEA,
    sms_forbidden BOOLEAN NOT NULL,
    created_at    BIGINT,
    updated_at    BIGINT,
    disabled_at   BIGINT
);

CREATE TABLE passwords (
    person_id     TEXT PRIMARY KEY REFERENCES persons (id) ON DELETE CASCADE,
    hash          TEXT NOT NULL,
    key_id        TEXT NOT NULL,
    normalization BIGINT NOT NULL,
    updated_at    BIGINT
);

CREATE TABLE phones (
    id                TEXT PRIMARY KEY,
    person_id         TEXT NOT NULL UNIQUE REFERENCES persons (id) ON DELETE CASCADE,
    sealed            BYTEA,
    hash              TEXT NOT NULL,
    country           TEXT NOT NULL,
    last_two          TEXT NOT NULL,
    verified_at       BIGINT,
    created_at        BIGINT,
    failures          BIGINT NOT NULL,
    disabled_at       BIGINT,
    no_whatsapp_until BIGINT,
    last_used_at      BIGINT
);
CREATE INDEX phones_hash ON phones (hash);

CREATE TABLE clients (
    id         TEXT PRIMARY KEY,
    record     TEXT NOT NULL,
    created_at BIGINT,
    updated_at BIGINT
);

CREATE TABLE auth_requests (
    id             TEXT PRIMARY KEY,
    client_id      TEXT NOT NULL,
    browser_hash   BYTEA,
    correlation_id TEXT NOT NULL,
    created_at     BIGINT,
    expires_at     BIGINT,
    request        TEXT NOT NULL,
    progress       TEXT NOT NULL,
    ended_at       BIGINT,
    version        BIGINT NOT NULL
);
CREATE INDEX auth_requests_expires_at ON auth_requests (expires_at);

CREATE TABLE sessions (
    id           TEXT PRIMARY KEY,
    token_hash   TEXT NOT NULL UNIQUE,
    person_id    TEXT NOT NULL REFERENCES persons (id) ON DELETE CASCADE,
    auth_time    BIGINT,
    acr          TEXT NOT NULL,
    amr          TEXT NOT NULL,
    channel      TEXT NOT NULL,
    created_at   BIGINT,
    last_seen_at BIGINT,
    expires_at   BIGINT,
    ended_at     BIGINT,
    end_reason   TEXT NOT NULL,
    user_agent   TEXT NOT NULL,
    source_addr  TEXT NOT NULL
);
CREATE INDEX sessions_person ON sessions (person_id, created_at);
CREATE INDEX sessions_created_at ON sessions (created_at);
CREATE INDEX sessions_end ON sessions (COALESCE(ended_at, expires_at));

CREATE TABLE grants (
    id                   TEXT PRIMARY KEY,
    client_id            TEXT NOT NULL REFERENCES clients (id) ON DELETE CASCADE,
    person_id            TEXT NOT NULL,
    session_id           TEXT NOT NULL,
    auth_request_id      TEXT NOT NULL,
    correlation_id       TEXT NOT NULL,
    scopes               TEXT NOT NULL,
    audience             TEXT NOT NULL,
    login                TEXT NOT NULL,
    form                 TEXT NOT NULL,
    auth_code_hash       TEXT NOT NULL,
    auth_code_expires_at BIGINT,
    auth_code_used_at    BIGINT,
    created_at           BIGINT,
    refresh_until        BIGINT,
    revoked_at           BIGINT,
    revoke_reason        TEXT NOT NULL,
    -- offline repeats what scopes say, so that a revocation can leave such grants alone in one statement.
    offline              BOOLEAN NOT NULL
);
CREATE UNIQUE INDEX grants_auth_code ON grants (auth_code_hash) WHERE auth_code_hash <> '';
CREATE INDEX grants_client ON grants (client_id);
CREATE INDEX grants_person ON grants (person_id) WHERE person_id <> '';
CREATE INDEX grants_refresh_until ON grants (refresh_until) WHERE refresh_until IS NOT NULL;
CREATE INDEX grants_unused_code ON grants (auth_code_expires_at) WHERE auth_code_used_at IS NULL;
CREATE INDEX grants_without_refresh ON grants (created_at) WHERE refresh_until IS NULL;

CREATE TABLE tokens (
    hash       TEXT PRIMARY KEY,
    kind       TEXT NOT NULL,
    grant_id   TEXT NOT NULL REFERENCES grants (id) ON DELETE CASCADE,
    client_id  TEXT NOT NULL,
    jti        TEXT NOT NULL,
    scopes     TEXT NOT NULL,
    audience   TEXT NOT NULL,
    issued_at  BIGINT,
    expires_at BIGINT,
    used_at    BIGINT,
    revoked_at BIGINT
);
CREATE INDEX tokens_grant ON tokens (grant_id);
CREATE INDEX tokens_expires_at ON tokens (expires_at);

CREATE TABLE consents (
    person_id  TEXT NOT NULL REFERENCES persons (id) ON DELETE CASCADE,
    client_id  TEXT NOT NULL REFERENCES clients (id) ON DELETE CASCADE,
    scopes     TEXT NOT NULL,
    granted_at BIGINT,
    expires_at BIGINT,
    PRIMARY KEY (person_id, client_id)
);
CREATE INDEX consents_client ON consents (client_id);

CREATE TABLE assertions (
    id         TEXT PRIMARY KEY,
    expires_at BIGINT NOT NULL
);
CREATE INDEX assertions_expires_at ON assertions (expires_at);

CREATE TABLE challenges (
    id              TEXT PRIMARY KEY,
    person_id       TEXT NOT NULL,
    phone_id        TEXT NOT NULL,
    auth_request_id TEXT NOT NULL,
    purpose         TEXT NOT NULL,
    nonce           BYTEA,
    browser_hash    BYTEA,
    details_hash    BYTEA,
    key_id          TEXT NOT NULL,
    client_id       TEXT NOT NULL,
    correlation_id  TEXT NOT NULL,
    source_addr     TEXT NOT NULL,
    locale          TEXT NOT NULL,
    policy          TEXT NOT NULL,
    created_at      BIGINT,
    expires_at      BIGINT,
    tries           BIGINT NOT NULL,
    max_tries       BIGINT NOT NULL,
    ended_at        BIGINT,
    ended_as        TEXT NOT NULL,
    fallback_at     BIGINT,
    identity_bar    BOOLEAN NOT NULL,
    due_at          BIGINT,
    phone_hash      TEXT NOT NULL,
    phone_country   TEXT NOT NULL,
    phone_last_two  TEXT NOT NULL
);
CREATE INDEX challenges_open ON challenges (person_id) WHERE ended_at IS NULL;
CREATE INDEX challenges_auth_request ON challenges (auth_request_id);
CREATE INDEX challenges_expires_at ON challenges (expires_at);
CREATE INDEX challenges_due ON challenges (due_at) WHERE due_at IS NOT NULL AND ended_at IS NULL;

CREATE TABLE deliveries (
    id            TEXT PRIMARY KEY,
    challenge_id  TEXT NOT NULL REFERENCES challenges (id) ON DELETE CASCADE,
    channel       TEXT NOT NULL,
    carrier       TEXT NOT NULL,
    cause         TEXT NOT NULL,
    automatic     BOOLEAN NOT NULL,
    state         TEXT NOT NULL,
    calls         BIGINT NOT NULL,
    created_at    BIGINT,
    due_at        BIGINT,
    sending_at    BIGINT,
    lease_until   BIGINT,
    accepted_at   BIGINT,
    sent_at       BIGINT,
    delivered_at  BIGINT,
    read_at       BIGINT,
    failed_at     BIGINT,
    message_hash  TEXT NOT NULL,
    failure_class TEXT NOT NULL,
    failure_code  TEXT NOT NULL
);
CREATE UNIQUE INDEX deliveries_message ON deliveries (message_hash) WHERE message_hash <> '';
CREATE INDEX deliveries_challenge ON deliveries (challenge_id);
CREATE INDEX deliveries_queued ON deliveries (due_at) WHERE state = 'queued';
CREATE INDEX deliveries_sending ON deliveries (lease_until) WHERE state = 'sending';

CREATE TABLE receipts (
    delivery_id  TEXT NOT NULL REFERENCES deliveries (id) ON DELETE CASCADE,
    status       TEXT NOT NULL,
    at           BIGINT,
    received_at  BIGINT,
    failure_code TEXT NOT NULL,
    PRIMARY KEY (delivery_id, status)
);

-- Buckets by GCRA: full_at is the theoretical arrival time in microseconds, the moment at which the bucket is full.
CREATE TABLE buckets (
    id        TEXT PRIMARY KEY,
    full_at   BIGINT NOT NULL,
    spacing   BIGINT NOT NULL,
    tolerance BIGINT NOT NULL
);
CREATE INDEX buckets_full_at ON buckets (full_at);

CREATE TABLE failures (
    id            TEXT PRIMARY KEY,
    failures      BIGINT NOT NULL,
    blocked_until BIGINT NOT NULL,
    counted_at    BIGINT NOT NULL,
    free          BIGINT NOT NULL,
    base          BIGINT NOT NULL,
    longest       BIGINT NOT NULL,
    shut_at       BIGINT NOT NULL
);
CREATE INDEX failures_counted_at ON failures (counted_at);

CREATE TABLE signing_keys (
    kid          TEXT PRIMARY KEY,
    alg          TEXT NOT NULL,
    state        TEXT NOT NULL,
    public       BYTEA,
    sealed       BYTEA,
    created_at   BIGINT,
    activated_at BIGINT,
    retired_at   BIGINT
);
CREATE UNIQUE INDEX signing_keys_current ON signing_keys (alg) WHERE state = 'current';

CREATE TABLE events (
    id              TEXT PRIMARY KEY,
    version         BIGINT NOT NULL,
    at              BIGINT NOT NULL,
    kind            TEXT NOT NULL,
    outcome         TEXT NOT NULL,
    reason          TEXT NOT NULL,
    severity        TEXT NOT NULL,
    person_id       TEXT NOT NULL,
    actor_id        TEXT NOT NULL,
    client_id       TEXT NOT NULL,
    session_id      TEXT NOT NULL,
    auth_request_id TEXT NOT NULL,
    grant_id        TEXT NOT NULL,
    challenge_id    TEXT NOT NULL,
    delivery_id     TEXT NOT NULL,
    jti             TEXT NOT NULL,
    correlation_id  TEXT NOT NULL,
    trace_id        TEXT NOT NULL,
    source_addr     TEXT NOT NULL,
    user_agent      TEXT NOT NULL,
    channel         TEXT NOT NULL,
    node            TEXT NOT NULL,
    release         TEXT NOT NULL,
    data            TEXT NOT NULL,
    sequence        BIGINT,
    prev_hash       BYTEA,
    hash            BYTEA
);
CREATE UNIQUE INDEX events_sequence ON events (sequence) WHERE sequence IS NOT NULL;
CREATE INDEX events_unsealed ON events (id) WHERE sequence IS NULL;
CREATE INDEX events_at ON events (at);
CREATE INDEX events_kind ON events (kind, id);
CREATE INDEX events_person ON events (person_id, id) WHERE person_id <> '';
CREATE INDEX events_client ON events (client_id, id) WHERE client_id <> '';
CREATE INDEX events_session ON events (session_id, id) WHERE session_id <> '';
CREATE INDEX events_auth_request ON events (auth_request_id, id) WHERE auth_request_id <> '';
CREATE INDEX events_grant ON events (grant_id, id) WHERE grant_id <> '';
CREATE INDEX events_challenge ON events (challenge_id, id) WHERE challenge_id <> '';
CREATE INDEX events_jti ON events (jti, id) WHERE jti <> '';
CREATE INDEX events_correlation ON events (correlation_id, id) WHERE correlation_id <> '';

CREATE TABLE checkpoints (
    sequence  BIGINT PRIMARY KEY,
    head      BYTEA NOT NULL,
    at        BIGINT NOT NULL,
    key_id    TEXT NOT NULL,
    signature BYTEA NOT NULL
);

CREATE TABLE leases (
    name       TEXT PRIMARY KEY,
    holder     TEXT NOT NULL,
    expires_at BIGINT NOT NULL
);

-- +goose Down
DROP TABLE leases;
DROP TABLE checkpoints;
DROP TABLE events;
DROP TABLE signing_keys;
DROP TABLE failures;
DROP TABLE buckets;
DROP TABLE receipts;
DROP TABLE deliveries;
DROP TABLE challenges;
DROP TABLE assertions;
DROP TABLE consents;
DROP TABLE tokens;
DROP TABLE grants;
DROP TABLE sessions;
DROP TABLE auth_requests;
DROP TABLE clients;
DROP TABLE phones;
DROP TABLE passwords;
DROP TABLE persons;
