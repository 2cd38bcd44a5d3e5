-- Events wait in a table without indexes until the sealer, many at a time, gives them their place in the log: a login then
-- writes a page or two for its events instead of a dozen. Expand only: a node of the release before goes on inserting into
-- events and sealing there, and the sealer of this one takes both.

-- +goose Up
CREATE TABLE event_queue (
    id     TEXT PRIMARY KEY,
    record TEXT NOT NULL
);
-- IDs sort by time, so the primary key finds a time; and hardly anybody asks for all events of a client ever.
DROP INDEX events_at;
DROP INDEX events_client;

-- +goose Down
CREATE INDEX events_client ON events (client_id, id) WHERE client_id <> '';
CREATE INDEX events_at ON events (at);
DROP TABLE event_queue;
