package oidc

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"time"

	"github.com/ory/fosite"

	"github.com/parola-id/parola/internal/reqinfo"
	"github.com/parola-id/parola/storage"
)

// exchange is one request at /authorize, /authorize/resume or /token while fosite works on it. fosite's interfaces pass
// the same things through its store many times; the exchange remembers them, so that each is read or written once and in
// the transaction of our handler.
type exchange struct {
	client storage.Client
	now    time.Time
	// form is what a token request sent.
	form url.Values
	// grant is the one that is born here, or that the presented AuthCode or refresh token belongs to; its ID is empty
	// before that is known.
	grant storage.Grant
	// scopes are what the tokens of this exchange carry: those of the grant, or fewer when a refresh asked for fewer.
	scopes []string
	// authCode is what the grant is born with at /authorize/resume.
	authCode string
	// accessToken and jti are of the access token made here.
	accessToken, jti string
	// tokens and events are written at the end, each in one statement.
	tokens []storage.Token
	events []storage.Event
	// final says that what happened to the grant must be committed though the request is refused: a code was burned, or
	// a replay has revoked the family.
	final bool
}

type exchangeKey struct{}

func withExchange(ctx context.Context, ex *exchange) context.Context {
	return context.WithValue(ctx, exchangeKey{}, ex)
}

var errNoExchange = errors.New("fosite was called outside an exchange")

func exchangeOf(ctx context.Context) (*exchange, error) {
	ex, ok := ctx.Value(exchangeKey{}).(*exchange)
	if !ok {
		return nil, errNoExchange
	}
	return ex, nil
}

// request is the grant as fosite knows it.
func (ex *exchange) request() (*fosite.Request, error) {
	form, err := url.ParseQuery(ex.grant.Form)
	if err != nil {
		return nil, err
	}
	return &fosite.Request{
		ID: ex.grant.ID, RequestedAt: ex.grant.CreatedAt, Client: fositeClient{ex.client}, Form: form,
		RequestedScope: ex.scopes, GrantedScope: slices.Clone(ex.scopes),
		RequestedAudience: ex.grant.Audience, GrantedAudience: slices.Clone(ex.grant.Audience),
		Session: newClaims(ex.grant),
	}, nil
}

// event is an event about the grant of this exchange.
func (ex *exchange) event(ctx context.Context, kind, outcome, reason string) storage.Event {
	info := reqinfo.From(ctx)
	return storage.Event{
		Kind: kind, Outcome: outcome, Reason: reason,
		PersonID: ex.grant.PersonID, ClientID: ex.client.ID, SessionID: ex.grant.SessionID,
		AuthRequestID: ex.grant.AuthRequestID, GrantID: ex.grant.ID, JTI: ex.jti, CorrelationID: ex.grant.CorrelationID,
		Channel: ex.grant.Login.Channel, SourceAddr: info.Source, UserAgent: info.UserAgent,
	}
}
