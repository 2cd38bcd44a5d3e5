package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"

	"github.com/parola-id/parola/internal/app"
)

type auditVerify struct {
	PublicKey string `placeholder:"FILE" help:"Trust this public key alone, as parola audit public-key printed it, and not the configured secret."`
	Log       string `placeholder:"FILE" help:"The server's JSON log: the checkpoints in it find a chain that was cut off together with its own."`
	asJSON
}

// Help teaches.
func (auditVerify) Help() string {
	return `Reads every event and checks its hash, its link to the one before, and the signed checkpoints: a changed, removed, inserted or moved event is found. The newest events are sealed within a second while parola serve runs; until then they are the unsealed tail, which can still be changed unseen.

Examples:

    parola audit verify
    parola audit verify --public-key audit.pem --log /var/log/parola.json

Exit code 1 when the chain is broken. Next: keep the public key and the logged checkpoints where whoever can change the database cannot.`
}

// Run verifies.
func (cmd auditVerify) Run(c *invocation) error {
	var key, log []byte
	var err error
	if cmd.PublicKey != "" {
		if key, _, err = readFile(cmd.PublicKey); err != nil {
			return fmt.Errorf("read --public-key: %w", err)
		}
		if len(key) == 0 {
			return fmt.Errorf("read --public-key: %s is empty", cmd.PublicKey)
		}
	}
	if cmd.Log != "" {
		if log, err = os.ReadFile(cmd.Log); err != nil {
			return fmt.Errorf("read --log: %w", err)
		}
	}
	return c.withBase(func(ctx context.Context, b *app.Base) error {
		report, err := b.VerifyAudit(ctx, key, log)
		if err != nil {
			return err
		}
		if cmd.JSON {
			err = c.printJSON(report)
		} else {
			err = c.printVerification(report)
		}
		if err == nil && !report.OK() {
			err = errors.New("the audit log is broken")
		}
		return err
	})
}

func (c *invocation) printVerification(r app.AuditReport) error {
	if r.Removed != nil {
		c.printf("events up to %d, signed for at %s, were removed; event %s tells of it\n", r.Removed.Through,
			when(r.Removed.SignedAt), printable(r.Removed.EventID))
	}
	c.printf("%d sealed %s read, %d signed %s fit\n", r.Events, plural(int(r.Events), "event", "events"),
		r.Checkpoints, plural(r.Checkpoints, "checkpoint", "checkpoints"))
	if r.Last != nil {
		c.printf("signed up to event %d at %s, head %s\n", r.Last.Sequence, when(r.Last.At), hex.EncodeToString(r.Last.Head))
	}
	c.printf("unsealed tail: %d %s\n", r.Unsealed, plural(r.Unsealed, "event", "events"))
	if r.Overdue > 0 {
		c.printf("%d of them should have been sealed by now: parola serve does it\n", r.Overdue)
	}
	for _, id := range r.Backdated {
		c.printf("event %s was sealed more than an hour after its own time\n", printable(id))
	}
	if r.OK() {
		c.printf("the chain is whole\n")
		return nil
	}
	rows := [][]string{{"FINDING", "AT", "EVENT", "DETAIL"}}
	for _, p := range r.Problems {
		rows = append(rows, []string{p.Finding, fmt.Sprint(p.Sequence), p.EventID, p.Detail})
	}
	return c.table(rows)
}

type auditPublicKey struct{}

// Help teaches.
func (auditPublicKey) Help() string {
	return `An Ed25519 key as PEM, as OpenSSL reads it. While the root secret is being replaced there are two.

Example:

    parola audit public-key > audit.pem

Next: give it to whoever verifies, and have them run parola audit verify --public-key audit.pem.`
}

// Run prints.
func (auditPublicKey) Run(c *invocation) error {
	return c.withBase(func(_ context.Context, b *app.Base) error {
		_, err := c.stdout.Write(b.AuditPublicKey())
		return err
	})
}
