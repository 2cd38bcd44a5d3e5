package app

import (
	"context"
	"time"

	"github.com/parola-id/parola/idp/signing"
)

// tendEvery is how often each node looks whether a signing key is due to move on; it costs one statement.
const tendEvery = 10 * time.Second

// newSigner is the signer of a server, or of a command.
func (b *Base) newSigner() (*signing.Signer, error) {
	return signing.New(signing.Config{Keys: b.store, Secrets: b.keys, Audit: b.audit, Clock: b.clock, Algs: signing.Algorithms(),
		Schedule: b.config.keySchedule(), Holder: b.node, Log: b.log})
}

// keySchedule says when signing keys move on. A previous key is published as long as a session can live, which is longer
// than any token: an ID token that has ended still serves as id_token_hint at the logout (KEY-04).
func (c Config) keySchedule() signing.Schedule {
	l := c.Lifetimes
	return signing.Schedule{Every: c.Keys.RotateEvery, Ahead: c.Keys.PublishAhead,
		Keep: max(l.IDToken, l.AccessToken, l.SessionOverall) + time.Minute}
}

func (c Config) checkKeys(bad func(string, ...any)) {
	const day = 24 * time.Hour
	if k := c.Keys; k.RotateEvery != 0 && (k.RotateEvery < day || k.RotateEvery > 3660*day) {
		bad("keys.rotate_every is %s: set it to 24h at least, or to 0 to rotate by command alone", k.RotateEvery)
	} else if k.RotateEvery != 0 && k.PublishAhead > k.RotateEvery/2 {
		bad("keys.publish_ahead is %s: set it to half of keys.rotate_every at most", k.PublishAhead)
	}
	if c.Keys.PublishAhead < signing.LeastAhead {
		bad("keys.publish_ahead is %s: relying parties keep the keys they read for %s; set it to %s at least",
			c.Keys.PublishAhead, signing.CacheLife, signing.LeastAhead.Round(time.Second))
	}
}

// tendKeys makes the keys that are missing, and then moves them on as they fall due. A database that takes no writes is
// asked again: the keys that exist serve on.
func (a *App) tendKeys(ctx context.Context) error {
	tick := time.NewTicker(tendEvery)
	defer tick.Stop()
	for made := false; ; {
		if !made {
			// The first RSA key takes a while to make; the first start does not wait for it.
			err := a.signer.Ensure(ctx)
			if made = err == nil; !made && ctx.Err() == nil {
				a.log.WarnContext(ctx, "make signing keys", "err", err)
			}
		}
		if err := a.signer.Tend(ctx); err != nil && ctx.Err() == nil {
			a.log.WarnContext(ctx, "tend signing keys", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
