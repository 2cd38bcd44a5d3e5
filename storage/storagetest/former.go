package storagetest

import "strings"

// written is what a release wrote into one table: the columns that it names, and a row. # tells rows apart.
type written struct{ table, columns, row string }

func (w written) insert(n string) string {
	return "INSERT INTO " + w.table + " (" + w.columns + ") VALUES (" + strings.ReplaceAll(w.row, "#", n) + ")"
}

// secondRelease is frozen: each table of schema version 2 as that release names its columns when it inserts and reads. A
// table comes after those that its rows belong to.
var secondRelease = []written{
	{"persons", "id, username, claims, sms_forbidden, created_at, updated_at, disabled_at", "'p#', 'ada#', NULL, FALSE, 1000, 1000, NULL"},
	{"passwords", "person_id, hash, key_id, normalization, updated_at", "'p#', 'hash', 'k', 1, 1000"},
	{"phones", "id, person_id, sealed, hash, country, last_two, verified_at, created_at, failures, disabled_at, no_whatsapp_until, last_used_at, identity, barred_at",
		"'f#', 'p#', NULL, 'h#', 'IT', '67', 1000, 1000, 2, NULL, 2000, NULL, NULL, NULL"},
	{"clients", "id, record, created_at, updated_at", `'shop#', '{"client_id":"shop#"}', 1000, 1000`},
	{"auth_requests", "id, client_id, browser_hash, correlation_id, created_at, expires_at, request, progress, ended_at, version",
		"'a#', 'shop#', NULL, 'x', 1000, 9000, '{}', '{}', NULL, 1"},
	{"sessions", "id, token_hash, person_id, auth_time, acr, amr, channel, created_at, last_seen_at, expires_at, ended_at, end_reason, user_agent, source_addr",
		`'s#', 't#', 'p#', 1000, 'a', '["pwd"]', 'whatsapp', 1000, 1000, 9000, NULL, '', 'ua', '192.0.2.1'`},
	{"grants", "id, client_id, person_id, session_id, auth_request_id, correlation_id, scopes, audience, login, form, auth_code_hash, auth_code_expires_at, auth_code_used_at, created_at, refresh_until, revoked_at, revoke_reason, offline",
		`'g#', 'shop#', 'p#', 's#', 'a#', 'x', '["openid"]', '[]', '{}', '', 'c#', 2000, NULL, 1000, 9000, NULL, '', FALSE`},
	{"tokens", "hash, kind, grant_id, client_id, jti, scopes, audience, issued_at, expires_at, used_at, revoked_at",
		`'r#', 'refresh', 'g#', 'shop#', 'j#', '["openid"]', '[]', 1000, 9000, NULL, NULL`},
	{"consents", "person_id, client_id, scopes, granted_at, expires_at", `'p#', 'shop#', '["openid"]', 1000, 9000`},
	{"assertions", "id, expires_at", "'o#', 9000"},
	{"challenges", "id, person_id, phone_id, auth_request_id, purpose, nonce, browser_hash, details_hash, key_id, client_id, correlation_id, source_addr, locale, policy, created_at, expires_at, tries, max_tries, ended_at, ended_as, fallback_at, identity_bar, due_at, phone_hash, phone_country, phone_last_two, phone_prefix, sms_refused",
		`'c#', 'p#', 'f#', 'a#', 'login', NULL, NULL, NULL, 'k', 'shop#', 'x', '192.0.2.1', 'it', '{"fallback":"allow","not_entered":"send"}', 1000, 9000, 1, 5, NULL, '', NULL, FALSE, 5000, 'h#', 'IT', '67', '+39333', ''`},
	{"deliveries", "id, challenge_id, channel, carrier, cause, automatic, state, calls, created_at, due_at, sending_at, lease_until, accepted_at, sent_at, delivered_at, read_at, failed_at, message_hash, failure_class, failure_code, tried, cost, identity",
		"'d#', 'c#', 'whatsapp', 'meta', 'first', FALSE, 'queued', 0, 1000, 1000, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 'm#', '', '', '[]', 9, NULL"},
	{"receipts", "delivery_id, status, at, received_at, failure_code", "'d#', 'sent', 1300, 1300, ''"},
	{"notices", "id, challenge_id, person_id, phone_id, channel, carrier, kind, locale, state, calls, created_at, due_at, sending_at, lease_until, failure_code",
		"'n#', 'c#', 'p#', 'f#', 'whatsapp', 'meta', 'not_requested', 'it', 'queued', 0, 1000, 1000, NULL, NULL, ''"},
	{"buckets", "id, full_at, spacing, tolerance", "'b#', 60000000, 60000000, 60000000"},
	{"failures", "id, failures, blocked_until, counted_at, free, base, longest, shut_at", "'w#', 1, 0, 1000, 5, 1000, 1000, 30"},
	{"circuits", "name, held, reason, opened_at, until, probe_until, openings", "'carrier/#', FALSE, 'failures', 1000, 2000, NULL, 1"},
	{"verdicts", "prefix, edge, country, state, override, sent, verified, since, updated_at", "'+39#', 'sms', 'IT', 'observe', '', 9, 1, 1000, 1000"},
	{"conversions", "prefix, country, channel, instant, hour, sent, verified, spent", "'+39#', 'IT', 'sms', FALSE, 0, 9, 1, 100"},
	{"delivery_days", "day, country, channel, carrier, language, sent, delivered, read, failed, verified, spent, saved, fell_back, to_delivered, to_verified",
		"'2026-03-1#', 'IT', 'sms', 'twilio', 'it', 9, 8, 0, 1, 7, 100, -5, '{}', '{}', '{}'"},
	{"cursors", "name, position", "'reader #', 3"},
	{"rate_cards", "carrier, valid_from, currency, prices, loaded_at", `'twilio', '2026-03-1#', 'EUR', '{"*":"0.12"}', 1000`},
	{"signing_keys", "kid, alg, state, public, sealed, created_at, activated_at, retired_at", "'kid#', 'ES256', 'retired', NULL, NULL, 1000, 1000, 2000"},
	{"events", "id, version, at, kind, outcome, reason, severity, person_id, actor_id, client_id, session_id, auth_request_id, grant_id, challenge_id, delivery_id, jti, correlation_id, trace_id, source_addr, user_agent, channel, node, release, data",
		"'e#', 1, 1000, 'authn.otp.sent', 'success', '', 'info', 'p#', '', 'shop#', '', 'a#', '', 'c#', 'd#', '', 'x', '', '192.0.2.1', 'ua', 'whatsapp', 'n', 'v0', '{}'"},
	{"leases", "name, holder, expires_at", "'lease #', 'n', 9000"},
}

// secondReleaseChanges are statements of that release which change rows: what a login, a sealer and a sweeper of a node
// that was not replaced yet go on doing. # is the row.
var secondReleaseChanges = []string{
	`UPDATE grants SET auth_code_used_at = 1500 WHERE auth_code_hash = 'c#' AND auth_code_hash <> '' AND client_id = 'shop#' AND auth_code_used_at IS NULL`,
	`UPDATE tokens SET used_at = 1500 WHERE hash = 'r#' AND kind = 'refresh' AND client_id = 'shop#' AND used_at IS NULL AND revoked_at IS NULL
		AND NOT EXISTS (SELECT 1 FROM grants g WHERE g.id = tokens.grant_id AND g.revoked_at IS NOT NULL)`,
	`UPDATE sessions SET last_seen_at = 1500 WHERE id = 's#' AND ended_at IS NULL AND COALESCE(last_seen_at, 0) < 1500`,
	`UPDATE challenges SET tries = tries + 1 WHERE id = 'c#' AND ended_at IS NULL AND expires_at > 1500 AND tries < max_tries`,
	`UPDATE deliveries SET state = 'sending', sending_at = 1500, lease_until = 1600, calls = calls + 1
		WHERE id IN (SELECT id FROM deliveries WHERE state = 'queued' AND due_at <= 1500 AND id = 'd#')`,
	`INSERT INTO buckets (id, full_at, spacing, tolerance) VALUES ('b#', 60000001, 60000000, 60000000)
		ON CONFLICT (id) DO UPDATE SET full_at = excluded.full_at`,
	`INSERT INTO leases (name, holder, expires_at) VALUES ('lease #', 'm', 9100)
		ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at WHERE leases.expires_at <= 9999`,
	`UPDATE auth_requests SET progress = '{}', version = version + 1 WHERE id = 'a#' AND version = 1`,
	`UPDATE cursors SET position = 4 WHERE name = 'reader #' AND position = 3`,
	`DELETE FROM assertions WHERE id IN (SELECT id FROM assertions WHERE expires_at < 9001 AND id = 'o#')`,
}

// since are tables that came after the second release.
var since = []written{
	{"event_queue", "id, record", `'q#', '{}'`},
	{"root_generations", "id, first_used_at, last_used_at, retired_at, audit_key", "'gen#', 1000, 2000, NULL, NULL"},
}
