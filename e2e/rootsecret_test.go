package e2e_test

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parola-id/parola/e2e/harness"
	"github.com/parola-id/parola/internal/app"
	"github.com/parola-id/parola/storage"
)

// TestKEY06_TheRootSecretIsReplacedInTheMiddleOfLogins goes through docs/operations.md, "The root secret", on a provider in
// use: what began under the old one ends under the new one, and two nodes on both sides of the change work together.
func TestKEY06_TheRootSecretIsReplacedInTheMiddleOfLogins(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, dsn string) {
		in := harness.Install(t, harness.Options{DSN: dsn})
		one, two := in.Config.Secrets.Root, freshRoot()
		configure := func(in *harness.Installation, root, next, previous app.Secret) *harness.Installation {
			in.Config.Secrets = app.Secrets{Root: root, Next: next, Previous: previous}
			return in
		}
		refused := func(secrets app.Secrets, want string) {
			t.Helper()
			c := in.Config
			c.Secrets = secrets
			b, err := app.Open(t.Context(), c, app.Options{Clock: in.Clock()})
			if err == nil {
				b.Close()
			}
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("the start says %v, want a sentence with %q", err, want)
			}
		}
		provider := in.Run(nil)
		rp, ada, bea := in.WithNewSecret(harness.WebClient), in.Person("ada"), in.Person("bea")
		good := func(what string, answer harness.Answer, err error) harness.Answer {
			t.Helper()
			if err != nil || answer.Status != http.StatusOK {
				t.Fatalf("%s: %v %d %s", what, err, answer.Status, answer.Body)
			}
			return answer
		}
		signedIn, waiting := in.Browser(), in.Browser()
		stop := func(p *harness.Provider) {
			// Else it waits for connections that were opened and not needed.
			for _, client := range []*http.Client{rp.HTTP, signedIn.Client, waiting.Client} {
				client.CloseIdleConnections()
			}
			p.Stop()
		}
		first := rp.Begin()
		tokens, err := rp.Redeem(rp.AuthCode(t, signedIn.Login(first.URL, ada, "whatsapp"), first), first)
		tokens = good("redeem", tokens, err)

		// A node that the others could not read does not start, nor one that cannot read what is there.
		store := open(t, in)
		harness.Eventually(t, 10*time.Second, "the provider says that it runs", func() bool {
			leases, err := store.Leases(t.Context())
			return err == nil && slices.ContainsFunc(leases, func(l storage.Lease) bool { return strings.HasPrefix(l.Name, "node/") })
		})
		refused(app.Secrets{Root: two, Previous: one}, "could not read what secrets.root")
		refused(app.Secrets{Root: two}, "holds what was made with the root secret")
		stop(provider)

		// First every node reads the new one. A login stops at the passcode page, another at its AuthCode.
		provider = configure(in, one, two, app.Secret{}).Run(nil)
		half := rp.Begin()
		page := waiting.Password(half.URL, bea)
		passcode := bea.Phone.Passcode("whatsapp", 20*time.Second)
		second := rp.Begin()
		authCode := rp.AuthCode(t, signedIn.Get(second.URL), second)
		behind, other := rp, provider // a second node that is not restarted yet
		if dsn != "" {
			node, address := in.Node()
			other = node.Run(nil)
			behind = rp.At(address)
		}
		stop(provider)

		// Then each makes things with it.
		provider = configure(in, two, app.Secret{}, one).Run(nil)
		page = waiting.Press(page, "Continue", "passcode", passcode)
		fromOld, err := rp.Redeem(rp.AuthCode(t, page, half), half)
		good("a login that began before", fromOld, err)
		answer, err := rp.Redeem(authCode, second)
		good("an AuthCode from before", answer, err)
		answer, err = rp.UserInfo(tokens.Text("access_token"))
		good("an access token from before", answer, err)
		fresh, err := rp.Refresh(tokens.Text("refresh_token"))
		good("a refresh token from before", fresh, err)
		answer, err = behind.UserInfo(fresh.Text("access_token"))
		good("a new access token at the other node", answer, err)
		newer, err := behind.Refresh(fresh.Text("refresh_token"))
		good("a new refresh token at the other node", newer, err)
		if answer, err := rp.Refresh(fresh.Text("refresh_token")); err != nil || answer.Status != http.StatusBadRequest {
			t.Errorf("a token that the other node has used: %v %d", err, answer.Status)
		}
		silent := rp.Begin("prompt", "none")
		rp.AuthCode(t, signedIn.Get(silent.URL), silent)

		var old string
		in.Command(func(ctx context.Context, b *app.Base) error {
			done, err := b.ResealSecrets(ctx)
			if err != nil || done.Counts["phones"] != 2 || done.Counts["signing_keys"] == 0 || len(done.Damaged) > 0 {
				t.Errorf("resealed %+v, %v", done, err)
			}
			all, err := b.Roots(ctx)
			for _, r := range all.Roots {
				if r.Part == "previous" {
					old = r.ID
				}
			}
			if _, err := b.RetireRoot(ctx, old, "", false); err == nil || !strings.Contains(err.Error(), "is needed") && !strings.Contains(err.Error(), "makes things with") {
				t.Errorf("retired while it is needed: %v", err)
			}
			return err
		})
		again := rp.Begin()
		answer, err = rp.Redeem(rp.AuthCode(t, in.Browser().Login(again.URL, bea, "whatsapp"), again), again)
		good("a login on what was sealed anew", answer, err)
		stop(provider)
		stop(other)

		// When the last of the old has ended, it leaves the configuration.
		in.Forward(15 * 24 * time.Hour)
		refused(app.Secrets{Root: two}, old)
		in.Command(func(ctx context.Context, b *app.Base) error {
			r, err := b.RetireRoot(ctx, old, "", false)
			if len(r.Needs) > 0 {
				t.Errorf("it was needed: %+v", r.Needs)
			}
			return err
		})
		configure(in, two, app.Secret{}, app.Secret{}).Run(nil)
		last := rp.Begin()
		answer, err = rp.Redeem(rp.AuthCode(t, in.Browser().Login(last.URL, ada, "whatsapp"), last), last)
		good("a login without the old one", answer, err)
		refused(app.Secrets{Root: one, Previous: two}, "does not come back")
		in.Command(func(ctx context.Context, b *app.Base) error {
			report, err := b.VerifyAudit(ctx, nil, nil)
			if err == nil && !report.OK() {
				t.Errorf("the audit log: %+v", report.Problems)
			}
			return err
		})
	})
}

func freshRoot() app.Secret {
	b := make([]byte, 32)
	_, _ = rand.Read(b)
	return app.NewSecret(base64.StdEncoding.EncodeToString(b))
}
