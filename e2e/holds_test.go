package e2e_test

import (
	"context"
	"testing"
	"time"

	"github.com/parola-id/parola/bench/check"
	"github.com/parola-id/parola/e2e/harness"
	"github.com/parola-id/parola/internal/app"
)

// holds waits until nothing is due, and holds the database, the audit log and what Meta and Twilio saw against every
// invariant. All logins of the test must have come to an end.
func holds(t *testing.T, in *harness.Installation) {
	t.Helper()
	store, d := open(t, in), in.Config.Database
	harness.Eventually(t, 20*time.Second, "nothing is due, and every event is sealed", func() bool {
		due, err := store.NextDue(context.Background())
		if err != nil || !due.IsZero() {
			return false
		}
		waiting, err := store.UnsealedEvents(context.Background(), 1)
		return err == nil && len(waiting) == 0
	})
	source := d.Path
	if d.Driver == "postgres" {
		source = d.DSN.Reveal()
	}
	db, err := check.Open(d.Driver, source)
	must(t, err)
	defer db.Close()
	asked := len(in.Tap.Calls())
	r, err := db.Read(t.Context())
	must(t, err)
	r.Damage, err = db.Damage(t.Context())
	must(t, err)
	r.Asked = asked
	for _, c := range in.Tap.Calls() {
		r.Calls = append(r.Calls, check.Call{Delivery: c.Delivery, Taken: c.Taken()})
	}
	in.For(t).Command(func(ctx context.Context, b *app.Base) error {
		report, err := b.VerifyAudit(ctx, b.AuditPublicKey(), nil)
		for _, p := range report.Problems {
			r.Chain = append(r.Chain, p.Finding+": "+p.Detail)
		}
		return err
	})
	for _, f := range r.Over() {
		t.Error(f)
	}
}
