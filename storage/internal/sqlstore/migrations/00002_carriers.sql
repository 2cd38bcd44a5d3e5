-- Carriers in order, circuits that all nodes see, notices, and what messages cost and came to. Expand only: a node of the
-- release before goes on working on this schema.

-- +goose Up
ALTER TABLE challenges ADD COLUMN phone_prefix TEXT NOT NULL DEFAULT '';
ALTER TABLE challenges ADD COLUMN sms_refused TEXT NOT NULL DEFAULT '';
ALTER TABLE deliveries ADD COLUMN tried TEXT NOT NULL DEFAULT '[]';
ALTER TABLE deliveries ADD COLUMN cost BIGINT NOT NULL DEFAULT 0;
ALTER TABLE deliveries ADD COLUMN identity BYTEA;
ALTER TABLE phones ADD COLUMN identity BYTEA;
ALTER TABLE phones ADD COLUMN barred_at BIGINT;

-- openings counts how often the circuit was opened while it was there: 1 tells the caller that there was none before.
CREATE TABLE circuits (
    name        TEXT PRIMARY KEY,
    held        BOOLEAN NOT NULL,
    reason      TEXT NOT NULL,
    opened_at   BIGINT,
    until       BIGINT,
    probe_until BIGINT,
    openings    BIGINT NOT NULL
);

CREATE TABLE notices (
    id           TEXT PRIMARY KEY,
    challenge_id TEXT NOT NULL REFERENCES challenges (id) ON DELETE CASCADE,
    person_id    TEXT NOT NULL,
    phone_id     TEXT NOT NULL,
    channel      TEXT NOT NULL,
    carrier      TEXT NOT NULL,
    kind         TEXT NOT NULL,
    locale       TEXT NOT NULL,
    state        TEXT NOT NULL,
    calls        BIGINT NOT NULL,
    created_at   BIGINT,
    due_at       BIGINT,
    sending_at   BIGINT,
    lease_until  BIGINT,
    failure_code TEXT NOT NULL
);
CREATE INDEX notices_challenge ON notices (challenge_id);
CREATE INDEX notices_queued ON notices (due_at) WHERE state = 'queued';
CREATE INDEX notices_sending ON notices (lease_until) WHERE state = 'sending';

-- Money is in ten-thousandths of the installation's currency.
CREATE TABLE delivery_days (
    day          TEXT NOT NULL,
    country      TEXT NOT NULL,
    channel      TEXT NOT NULL,
    carrier      TEXT NOT NULL,
    language     TEXT NOT NULL,
    sent         BIGINT NOT NULL,
    delivered    BIGINT NOT NULL,
    read         BIGINT NOT NULL,
    failed       BIGINT NOT NULL,
    verified     BIGINT NOT NULL,
    spent        BIGINT NOT NULL,
    saved        BIGINT NOT NULL,
    fell_back    TEXT NOT NULL,
    to_delivered TEXT NOT NULL,
    to_verified  TEXT NOT NULL,
    PRIMARY KEY (day, country, channel, carrier, language)
);

CREATE TABLE conversions (
    prefix   TEXT NOT NULL,
    country  TEXT NOT NULL,
    channel  TEXT NOT NULL,
    instant  BOOLEAN NOT NULL,
    hour     BIGINT NOT NULL,
    sent     BIGINT NOT NULL,
    verified BIGINT NOT NULL,
    spent    BIGINT NOT NULL,
    PRIMARY KEY (prefix, country, channel, instant, hour)
);
CREATE INDEX conversions_hour ON conversions (hour);

CREATE TABLE cursors (
    name     TEXT PRIMARY KEY,
    position BIGINT NOT NULL
);

CREATE TABLE verdicts (
    prefix     TEXT NOT NULL,
    edge       TEXT NOT NULL,
    country    TEXT NOT NULL,
    state      TEXT NOT NULL,
    override   TEXT NOT NULL,
    sent       BIGINT NOT NULL,
    verified   BIGINT NOT NULL,
    since      BIGINT,
    updated_at BIGINT,
    PRIMARY KEY (prefix, edge)
);

CREATE TABLE rate_cards (
    carrier    TEXT NOT NULL,
    valid_from TEXT NOT NULL,
    currency   TEXT NOT NULL,
    prices     TEXT NOT NULL,
    loaded_at  BIGINT,
    PRIMARY KEY (carrier, valid_from)
);

-- +goose Down
DROP TABLE rate_cards;
DROP TABLE verdicts;
DROP TABLE cursors;
DROP TABLE conversions;
DROP TABLE delivery_days;
DROP TABLE notices;
DROP TABLE circuits;
ALTER TABLE phones DROP COLUMN barred_at;
ALTER TABLE phones DROP COLUMN identity;
ALTER TABLE deliveries DROP COLUMN identity;
ALTER TABLE deliveries DROP COLUMN cost;
ALTER TABLE deliveries DROP COLUMN tried;
ALTER TABLE challenges DROP COLUMN sms_refused;
ALTER TABLE challenges DROP COLUMN phone_prefix;
