package app

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/internal/secret"
	"github.com/parola-id/parola/storage"
)

// AuditReport is the outcome of a verification of the audit log.
type AuditReport = audit.Report

// auditKey signs checkpoints of the audit log.
func (b *Base) auditKey() ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(b.keys.Bytes(secret.Audit))
}

// auditPublicKeys are those of the configured root secrets, and of older ones that are gone.
func (b *Base) auditPublicKeys() []ed25519.PublicKey {
	keys := []ed25519.PublicKey{b.auditKey().Public().(ed25519.PublicKey)}
	for _, seed := range b.keys.OtherBytes(secret.Audit) {
		keys = append(keys, ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey))
	}
	return append(keys, b.oldAuditKeys...)
}

// AuditPublicKey is what verifies the checkpoints of the audit log, as PEM: the current key, and those of other root
// secrets that this database was used with.
func (b *Base) AuditPublicKey() []byte {
	var text []byte
	for _, key := range b.auditPublicKeys() {
		text = append(text, audit.EncodePublicKey(key)...)
	}
	return text
}

// VerifyAudit reads the whole audit log and checks every hash, link and signature: with publicKeys (PEM) alone when they
// are given, else with the keys of this installation. diagnostics, which may be empty, are lines of the server's JSON
// log: the checkpoints that it told there find a chain that was cut off together with its checkpoints (LOG-07).
func (b *Base) VerifyAudit(ctx context.Context, publicKeys, diagnostics []byte) (AuditReport, error) {
	keys := b.auditPublicKeys()
	if len(publicKeys) > 0 {
		var err error
		if keys, err = audit.DecodePublicKeys(publicKeys); err != nil {
			return AuditReport{}, refuse("%v", err)
		}
	}
	known, err := loggedCheckpoints(diagnostics)
	if err != nil {
		return AuditReport{}, err
	}
	return audit.Verify(ctx, audit.VerifyConfig{Events: b.store, Keys: keys, Known: known, Now: b.clock.Now()})
}

// loggedCheckpoints finds the checkpoints among the lines of a JSON log.
func loggedCheckpoints(text []byte) ([]storage.Checkpoint, error) {
	var found []storage.Checkpoint
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, 1<<20)
	for n := 1; lines.Scan(); n++ {
		if !bytes.Contains(lines.Bytes(), []byte(`"audit checkpoint"`)) {
			continue
		}
		var line struct {
			Msg, Head, Key, Signature string
			Sequence                  int64
			At                        time.Time
		}
		if json.Unmarshal(lines.Bytes(), &line) != nil || line.Msg != "audit checkpoint" {
			continue
		}
		head, err := hex.DecodeString(line.Head)
		signature, wrong := hex.DecodeString(line.Signature)
		if err != nil || wrong != nil {
			return nil, refuse("line %d of the log: the checkpoint is damaged", n)
		}
		found = append(found, storage.Checkpoint{
			Sequence: line.Sequence, Head: head, At: line.At, KeyID: line.Key, Signature: signature,
		})
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read the log: %w", err)
	}
	return found, nil
}
