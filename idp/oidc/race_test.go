package oidc

import (
	"net/http"
	"net/url"
	"sync"
	"testing"

	"github.com/parola-id/parola/storage"
	"github.com/parola-id/parola/storage/storagetest"
)

// atOnce sends the same token request eight times and returns the one good answer; all others must be invalid_grant.
func (f *flow) atOnce(form url.Values) tokenReply {
	f.t.Helper()
	const callers = 8
	replies := make([]tokenReply, callers)
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			<-start
			replies[i] = f.token(form)
		})
	}
	close(start)
	wg.Wait()
	var good tokenReply
	won := 0
	for _, got := range replies {
		if got.status == http.StatusOK {
			won++
			good = got
			continue
		}
		got.refused(f.t, http.StatusBadRequest, "invalid_grant")
	}
	if won != 1 {
		f.t.Fatalf("%d of %d callers won", won, callers)
	}
	return good
}

func TestOA25_OA24_A9_OneOfManyRedemptionsWinsAndTheFamilyEnds(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s storage.Store) {
		f := newFlowOn(t, s, nil)
		c := f.addClient(nil)
		for range 3 {
			won := f.atOnce(redeemForm(c, f.login(authorizeForm(c)).Get("code")))
			if token, grant := f.grantOf(won.AccessToken); token.RevokedAt.IsZero() || grant.RevokeReason != "code_replayed" {
				t.Errorf("the winner's tokens live on: %+v", grant)
			}
		}
		if n := len(f.events("oauth.code.replayed")); n != 3*7 {
			t.Errorf("%d replays are recorded", n)
		}
	})
}

func TestOA52_A8_OneOfManyRefreshesWinsAndTheFamilyEnds(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s storage.Store) {
		f := newFlowOn(t, s, nil)
		c := f.addClient(nil)
		for range 3 {
			won := f.atOnce(refreshForm(c, f.issued(c).RefreshToken))
			if token, _ := f.grantOf(won.AccessToken); token.RevokedAt.IsZero() {
				t.Error("the winner's tokens live on")
			}
			f.token(refreshForm(c, won.RefreshToken)).refused(t, http.StatusBadRequest, "invalid_grant")
		}
	})
}
