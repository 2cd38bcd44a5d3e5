package oidc

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/internal/reqinfo"
	"github.com/parola-id/parola/internal/secret"
	"github.com/parola-id/parola/storage"
)

// The client authentication methods (OpenID Connect Core §9), as storage.Client.AuthMethod names them.
const (
	methodNone          = "none"
	methodBasic         = "client_secret_basic"
	methodPost          = "client_secret_post"
	methodPrivateKeyJWT = "private_key_jwt"
)

// Why an authentication failed, for the audit log alone.
const (
	reasonUnknownClient = "unknown_client"
	reasonDisabled      = "client_disabled"
	reasonWrongMethod   = "wrong_method"
	reasonWrongSecret   = "wrong_secret"
	reasonBadAssertion  = "bad_assertion"
	reasonBadKeyAddress = "key_address_refused"
)

const (
	maxClientID = 255
	// maxSecret bounds what is hashed slowly, in bytes.
	maxSecret = 1024
)

// presented is what a request brought to prove which client sent it.
type presented struct {
	method   string
	clientID string
	secret   string
	// assertion is set for private_key_jwt.
	assertion *assertion
	// header says that the Authorization header was used, which decides how a failure is told (RFC 6749 §5.2).
	header bool
}

// authenticateClient finds out which client sent a request to the token, introspection or revocation endpoint, and that
// it used exactly the method it registered (OA-31). Every failure is the same invalid_client, whatever was wrong
// (OA-36); a malformed request is invalid_request, and any other error an outage (OA-37). It runs outside the
// transaction of the request: slow hashes and key fetches have no place in one.
func (p *Provider) authenticateClient(ctx context.Context, r *http.Request, form url.Values) (storage.Client, error) {
	proof, err := readClientProof(r, form)
	if err != nil {
		return storage.Client{}, err
	}
	c, err := p.Store.Client(ctx, proof.clientID)
	if err != nil && !notFound(err) {
		return storage.Client{}, err
	}
	reason := ""
	switch {
	case err != nil:
		// As much work as a wrong secret costs. Imported secrets, hashed slowly, are the exception: to hash slowly for
		// made-up names would hand a stranger the gate (DOS-01), and a client id is no secret.
		p.matchesFast(storage.ClientSecret{Hash: hashedFast}, proof.secret)
		reason = reasonUnknownClient
	default:
		if reason, err = p.checkProof(ctx, c, proof); err != nil {
			return storage.Client{}, err
		}
	}
	if reason == "" {
		return c, nil
	}
	if err := p.recordAuthFailure(ctx, c.ID, reason); err != nil {
		return storage.Client{}, err
	}
	return storage.Client{}, clientRefused(proof.header)
}

// clientRefused is the one answer to every failed authentication.
func clientRefused(header bool) *refusal {
	e := refuse(errInvalidClient, "client authentication failed")
	e.basic = header
	return e
}

// checkProof returns why the proof is not good enough, or an empty reason. Whether the client is disabled is looked at
// last, so that the answer takes as long.
func (p *Provider) checkProof(ctx context.Context, c storage.Client, proof presented) (reason string, err error) {
	if proof.method != c.AuthMethod {
		return reasonWrongMethod, nil
	}
	switch proof.method {
	case methodBasic, methodPost:
		ok, err := p.checkSecret(ctx, c, proof.secret)
		if err != nil {
			return "", err
		}
		if !ok {
			reason = reasonWrongSecret
		}
	case methodPrivateKeyJWT:
		if reason, err = p.checkAssertion(ctx, c, *proof.assertion); err != nil {
			return "", err
		}
	}
	if reason == "" && c.Disabled {
		reason = reasonDisabled
	}
	return reason, nil
}

// readClientProof sorts out which method a request uses. It is pure.
func readClientProof(r *http.Request, form url.Values) (presented, error) {
	headers := r.Header.Values("Authorization")
	hasSecret := form.Has("client_secret")
	hasAssertion := form.Has("client_assertion") || form.Has("client_assertion_type")
	used := 0
	for _, has := range []bool{len(headers) > 0, hasSecret, hasAssertion} {
		if has {
			used++
		}
	}
	if used > 1 || len(headers) > 1 {
		return presented{}, refuse(errInvalidRequest, "use one client authentication method at a time")
	}
	proof := presented{method: methodNone, clientID: form.Get("client_id")}
	switch {
	case len(headers) == 1:
		id, clientSecret, ok := parseBasic(headers[0])
		if !ok {
			return presented{}, clientRefused(true)
		}
		proof = presented{method: methodBasic, clientID: id, secret: clientSecret, header: true}
	case hasSecret:
		proof.method, proof.secret = methodPost, form.Get("client_secret")
	case hasAssertion:
		a, err := parseAssertion(form.Get("client_assertion_type"), form.Get("client_assertion"))
		if err != nil {
			return presented{}, err
		}
		proof = presented{method: methodPrivateKeyJWT, clientID: a.Subject, assertion: &a}
	}
	if sent := form.Get("client_id"); sent != "" && sent != proof.clientID {
		return presented{}, refuse(errInvalidRequest, "client_id names another client than the credentials")
	}
	if proof.clientID == "" {
		return presented{}, refuse(errInvalidClient, "client authentication is missing")
	}
	// Databases refuse some characters with an error, which would look like an outage.
	if !validClientID(proof.clientID) {
		return presented{}, clientRefused(proof.header)
	}
	return proof, nil
}

// validClientID says whether id has the characters of RFC 6749, appendix A.1, and a length we store.
func validClientID(id string) bool {
	return id != "" && len(id) <= maxClientID && !strings.ContainsFunc(id, func(c rune) bool { return c < 0x20 || c > 0x7e })
}

// parseBasic reads an Authorization header of the Basic scheme. The halves are form-encoded before they are joined
// (RFC 6749 §2.3.1), which the Basic of other protocols does not do.
func parseBasic(header string) (id, clientSecret string, ok bool) {
	scheme, encoded, found := strings.Cut(header, " ")
	if !found || !strings.EqualFold(scheme, "Basic") {
		return "", "", false
	}
	decoded, err := base64.StdEncoding.DecodeString(strings.TrimSpace(encoded))
	if err != nil {
		return "", "", false
	}
	user, password, found := strings.Cut(string(decoded), ":")
	if !found {
		return "", "", false
	}
	if id, err = url.QueryUnescape(user); err != nil {
		return "", "", false
	}
	if clientSecret, err = url.QueryUnescape(password); err != nil {
		return "", "", false
	}
	return id, clientSecret, true
}

// checkSecret compares with every secret of the client that has not expired: two are valid while one replaces the other
// (OA-33).
func (p *Provider) checkSecret(ctx context.Context, c storage.Client, typed string) (bool, error) {
	if typed == "" || len(typed) > maxSecret {
		return false, nil
	}
	var slow []string
	for _, s := range c.Secrets {
		switch {
		case expired(s.ExpiresAt, p.Clock.Now()):
		case !strings.HasPrefix(s.Hash, hashedFast):
			slow = append(slow, s.Hash)
		default:
			if generation, ok := p.matchesFast(s, typed); ok {
				p.rehash(ctx, c, s, typed, generation)
				return true, nil
			}
		}
	}
	if len(slow) == 0 {
		return false, nil
	}
	return p.matchesSlow(ctx, c, slow, typed)
}

func expired(at, now time.Time) bool { return !at.IsZero() && !now.Before(at) }

// failureEvents is how many failed authentications of one client from one source reach the audit log: a burst, then one
// each interval. They need no credential, so without a bound anyone could fill the log and keep its one writer busy.
var failureEvents = storage.Throttle{Interval: 10 * time.Second, Burst: 10}

// recordAuthFailure writes a sampled event. A client that does not exist is not named: people paste secrets into the
// wrong field (LOG-03).
func (p *Provider) recordAuthFailure(ctx context.Context, clientID, reason string) error {
	info := reqinfo.From(ctx)
	sample := failureEvents
	sample.Key = "client-auth-event:" + p.Keys.Hash(secret.Names, "client-auth|"+clientID+"|"+info.Source)[:22]
	err := p.Store.InTx(ctx, func(ctx context.Context) error {
		refused, err := p.Store.Take(ctx, p.Clock.Now(), sample)
		if err != nil || refused != nil {
			return err
		}
		failed := storage.Event{
			Kind: audit.ClientAuthFail, Outcome: audit.Failure, Reason: reason, ClientID: clientID,
			CorrelationID: info.CorrelationID, SourceAddr: info.Source, UserAgent: info.UserAgent,
		}
		if reason != reasonBadKeyAddress {
			return p.Audit.Write(ctx, failed)
		}
		blocked := failed
		blocked.Kind = audit.SSRFBlocked
		return p.Audit.Write(ctx, blocked, failed)
	})
	if err != nil {
		return errors.Join(errors.New("record failed client authentication"), err)
	}
	return nil
}
