package app

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/internal/secret"
	"github.com/parola-id/parola/storage"
)

const (
	// nodeLease begins the names of the leases by which servers say that they run. The holder is the generations of the root
	// secret that they read, the one that they make things with first.
	nodeLease = "node/"
	// nodeLife is how long a server counts as running after it last said so, sayEvery how often it does.
	nodeLife, sayEvery = time.Minute, 20 * time.Second
)

// runningNode is a server that runs on this database.
type runningNode struct {
	name  string
	reads []string
}

func (b *Base) runningNodes(ctx context.Context) ([]runningNode, error) {
	leases, err := b.store.Leases(ctx)
	if err != nil {
		return nil, fmt.Errorf("list running nodes: %w", err)
	}
	var nodes []runningNode
	for _, l := range leases {
		if name, is := strings.CutPrefix(l.Name, nodeLease); is && b.clock.Now().Before(l.ExpiresAt) {
			nodes = append(nodes, runningNode{name, strings.Fields(l.Holder)})
		}
	}
	return nodes, nil
}

// checkRoots keeps a wrong root secret from doing harm (KEY-06): one that the database does not know while a running node
// could not read what it makes, and a configuration without one that the database still needs. What an unknown root has
// hashed is not found: a node would refuse good tokens, and seal what the others cannot open.
func (b *Base) checkRoots(ctx context.Context) error {
	generations, err := b.store.RootGenerations(ctx)
	if err != nil {
		return fmt.Errorf("read root generations: %w", err)
	}
	if err := b.missingRoot(generations); err != nil {
		return err
	}
	used := make(map[string]bool)
	for _, g := range generations {
		used[g.ID] = true
		b.keepOldAuditKey(g)
	}
	if current := b.keys.ID(); !used[current] {
		nodes, err := b.runningNodes(ctx)
		if err != nil {
			return err
		}
		for _, n := range nodes {
			if !slices.Contains(n.reads, current) {
				return refuse("the running node %s could not read what secrets.root (%s) makes: put it into secrets.next of every node first, and into secrets.root when all have been restarted (a node that died counts for a minute)", n.name, current)
			}
		}
	}
	var fresh []string
	for _, id := range b.keys.Readable() {
		// The one before is in use because the operator says so: the first releases did not note it.
		if (id == b.keys.ID() || b.keys.Superseded(id)) && !used[id] {
			fresh = append(fresh, id)
		}
	}
	return b.useRoots(ctx, len(generations) == 0, fresh...)
}

// missingRoot says which root secret the database needs and the configuration does not have.
func (b *Base) missingRoot(generations []storage.RootGeneration) error {
	for _, g := range generations {
		switch retired := !g.RetiredAt.IsZero(); {
		case retired && g.ID == b.keys.ID():
			return refuse("secrets.root is %s, which was retired at %s: a root secret does not come back; make a new one", g.ID, stamp(g.RetiredAt))
		case !retired && !b.keys.Reads(g.ID):
			return refuse("this database holds what was made with the root secret %s until %s, and it is not configured: if secrets.root is to replace it, set it as secrets.previous; if it is to replace secrets.root, as secrets.next; else this is the configuration of another installation (`parola secrets status`)",
				g.ID, stamp(g.LastUsedAt))
		}
	}
	return nil
}

// useRoots notes the first use of generations. That of a new installation is no event.
func (b *Base) useRoots(ctx context.Context, installation bool, ids ...string) error {
	if len(ids) == 0 {
		return nil
	}
	return b.store.InTx(ctx, func(ctx context.Context) error {
		for _, id := range ids {
			first, err := b.store.UseRoot(ctx, id, b.clock.Now())
			if err != nil {
				return fmt.Errorf("note use of root secret: %w", err)
			}
			if first && !installation && id == b.keys.ID() {
				err = b.audit.Write(ctx, storage.Event{Kind: audit.RootActivated, ActorID: "system", Data: map[string]string{"root": id}})
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// sayRoots is a worker of a server: it says that the node runs and with which root secrets, and stops the node when the
// database needs one that it does not have, before it refuses what it cannot know.
func (a *App) sayRoots(ctx context.Context) error {
	if err := a.sealAuditKeys(ctx); err != nil {
		a.log.WarnContext(ctx, "keep public keys of the audit log", "err", err)
	}
	tick := time.NewTicker(sayEvery)
	defer tick.Stop()
	for {
		if err := a.sayRootsOnce(ctx); isRefusal(err) {
			return err
		} else if err != nil && ctx.Err() == nil {
			a.log.WarnContext(ctx, "say that this node runs", "err", err)
		}
		select {
		case <-ctx.Done():
			a.sayGone()
			return nil
		case <-tick.C:
		}
	}
}

func (a *App) sayRootsOnce(ctx context.Context) error {
	store, now := a.store.Unobserved(), a.clock.Now()
	err := store.InTx(ctx, func(ctx context.Context) error {
		if _, err := store.UseRoot(ctx, a.keys.ID(), now); err != nil {
			return err
		}
		_, err := store.AcquireLease(ctx, nodeLease+a.node, strings.Join(a.keys.Readable(), " "), now, now.Add(nodeLife))
		return err
	})
	if err != nil {
		return err
	}
	generations, err := store.RootGenerations(ctx)
	if err != nil {
		return err
	}
	return a.missingRoot(generations)
}

// sayGone spares whoever changes the root secret the wait for a node that has stopped.
func (a *App) sayGone() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	err := a.store.InTx(ctx, func(ctx context.Context) error {
		return a.store.ReleaseLease(ctx, nodeLease+a.node, strings.Join(a.keys.Readable(), " "))
	})
	if err != nil {
		a.log.Warn("say that this node is gone", "err", err)
	}
}

// keepOldAuditKey takes the public key of checkpoints that a root signed which is gone from the configuration. Only whoever
// had a root secret could put it there: it is sealed.
func (b *Base) keepOldAuditKey(g storage.RootGeneration) {
	if b.keys.Reads(g.ID) || len(g.AuditKey) == 0 {
		return
	}
	key, err := b.keys.Open(secret.AuditKeys, g.ID, g.AuditKey)
	if err != nil || len(key) != ed25519.PublicKeySize {
		b.log.Warn("the public key of older checkpoints cannot be opened", "root", g.ID, "err", err)
		return
	}
	b.oldAuditKeys = append(b.oldAuditKeys, ed25519.PublicKey(key))
}

// sealAuditKeys keeps the public key of each generation's checkpoints with the database, sealed, so that the log verifies
// when the root secret is gone.
func (b *Base) sealAuditKeys(ctx context.Context) error {
	generations, err := b.store.RootGenerations(ctx)
	if err != nil {
		return err
	}
	seeds := append([][]byte{b.keys.Bytes(secret.Audit)}, b.keys.OtherBytes(secret.Audit)...)
	keys := make(map[string][]byte)
	for i, id := range b.keys.Readable() {
		keys[id] = ed25519.NewKeyFromSeed(seeds[i]).Public().(ed25519.PublicKey)
	}
	for _, g := range generations {
		by := secret.SealedBy(g.AuditKey)
		if by != "" && !b.keys.Superseded(by) {
			continue
		}
		key, have := keys[g.ID]
		if !have && by != "" {
			if key, err = b.keys.Open(secret.AuditKeys, g.ID, g.AuditKey); err != nil {
				return fmt.Errorf("open audit key of %s: %w", g.ID, err)
			}
		}
		if key == nil {
			continue // retired before its key was kept
		}
		sealed := b.keys.Seal(secret.AuditKeys, g.ID, key)
		if err := b.store.InTx(ctx, func(ctx context.Context) error { return b.store.KeepAuditKey(ctx, g.ID, sealed) }); err != nil {
			return err
		}
	}
	return nil
}
