package app

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/storage"
)

// Root is a root secret as an operator sees it: what it is configured as, and what still needs it.
type Root struct {
	ID string `json:"id"`
	// Part is root, next or previous; empty for one that is not configured.
	Part        string    `json:"part,omitempty"`
	FirstUsedAt time.Time `json:"first_used_at,omitzero"`
	LastUsedAt  time.Time `json:"last_used_at,omitzero"`
	RetiredAt   time.Time `json:"retired_at,omitzero"`
	// MadeBy are the running nodes that make things with it.
	MadeBy []string `json:"made_by,omitempty"`
	// Needs is what could not be read without it; of the root in force it is not counted.
	Needs []RootNeed `json:"needs,omitempty"`
}

// RootNeed is one kind of thing that needs a root secret.
type RootNeed struct {
	Kind  string `json:"kind"`
	Count int    `json:"count"`
	// Until is when the last of them ends by itself; zero for what has to be made anew.
	Until time.Time `json:"until,omitzero"`
	// IDs name some of them, where somebody has to be asked.
	IDs []string `json:"ids,omitempty"`
}

// RootNode is a running server.
type RootNode struct {
	Name  string   `json:"name"`
	Makes string   `json:"makes"`
	Reads []string `json:"reads"`
}

// Roots is how the replacement of the root secret stands.
type Roots struct {
	Roots []Root     `json:"roots"`
	Nodes []RootNode `json:"nodes"`
}

// Roots tells which root secrets the database needs, and for what.
func (b *Base) Roots(ctx context.Context) (Roots, error) {
	generations, err := b.store.RootGenerations(ctx)
	if err != nil {
		return Roots{}, fmt.Errorf("read root generations: %w", err)
	}
	nodes, err := b.runningNodes(ctx)
	if err != nil {
		return Roots{}, err
	}
	known := make(map[string]bool)
	all := Roots{Roots: []Root{}, Nodes: []RootNode{}}
	for _, g := range generations {
		known[g.ID] = true
		r := Root{ID: g.ID, Part: b.partOf(g.ID), FirstUsedAt: g.FirstUsedAt, LastUsedAt: g.LastUsedAt, RetiredAt: g.RetiredAt}
		if r.Part != "root" && g.RetiredAt.IsZero() {
			if r.Needs, err = b.rootNeeds(ctx, g); err != nil {
				return Roots{}, err
			}
		}
		all.Roots = append(all.Roots, r)
	}
	for _, id := range b.keys.Readable() {
		if !known[id] {
			all.Roots = append(all.Roots, Root{ID: id, Part: b.partOf(id)})
		}
	}
	for _, n := range nodes {
		node := RootNode{Name: n.name, Reads: n.reads}
		if len(n.reads) > 0 {
			node.Makes = n.reads[0]
		}
		all.Nodes = append(all.Nodes, node)
		for i := range all.Roots {
			if all.Roots[i].ID == node.Makes {
				all.Roots[i].MadeBy = append(all.Roots[i].MadeBy, n.name)
			}
		}
	}
	return all, nil
}

func (b *Base) partOf(id string) string {
	switch {
	case id == b.keys.ID():
		return "root"
	case b.keys.Superseded(id):
		return "previous"
	case b.keys.Reads(id):
		return "next"
	}
	return ""
}

// rootNeeds counts what needs a generation.
func (b *Base) rootNeeds(ctx context.Context, g storage.RootGeneration) ([]RootNeed, error) {
	var needs []RootNeed
	for _, kind := range storage.SealedKinds() {
		counts, err := b.store.CountSealed(ctx, kind)
		if err != nil {
			return nil, fmt.Errorf("count sealed %s: %w", kind, err)
		}
		if n := counts[g.ID]; n > 0 {
			needs = append(needs, RootNeed{Kind: string(kind), Count: n})
		}
	}
	// A node that made things with it said so until LastUsedAt, and may have gone on for as long as it counts as running.
	until := g.LastUsedAt.Add(nodeLife)
	clients, err := b.secretsHashedBy(ctx, g.ID, until)
	if err != nil {
		return nil, err
	}
	if len(clients) > 0 {
		needs = append(needs, RootNeed{Kind: "client_secrets", Count: len(clients), IDs: clients[:min(len(clients), 20)]})
	}
	hashed, err := b.store.CountHashed(ctx, until, b.clock.Now())
	if err != nil {
		return nil, fmt.Errorf("count what is hashed: %w", err)
	}
	for _, h := range hashed {
		needs = append(needs, RootNeed{Kind: h.Kind, Count: h.Count, Until: h.Until})
	}
	return needs, nil
}

// secretsHashedBy are the clients with a generated secret that a generation hashed. Those of the first releases do not say
// which one did: what is older than its last use counts.
func (b *Base) secretsHashedBy(ctx context.Context, generation string, until time.Time) ([]string, error) {
	const page = 500
	now := b.clock.Now()
	var ids []string
	for after := ""; ; {
		clients, err := b.store.ListClients(ctx, after, page)
		if err != nil {
			return nil, fmt.Errorf("list clients: %w", err)
		}
		for _, c := range clients {
			after = c.ID
			if slices.ContainsFunc(stillValid(c.Secrets, now), func(s storage.ClientSecret) bool {
				return strings.HasPrefix(s.Hash, "hmac:") && (s.KeyID == generation || s.KeyID == "" && !s.CreatedAt.After(until))
			}) {
				ids = append(ids, c.ID)
			}
		}
		if len(clients) < page {
			return ids, nil
		}
	}
}

// RetireRoot says that nothing needs a root secret any more, so that it may leave the configuration. What does need it is a
// refusal, unless it is to be given up.
func (b *Base) RetireRoot(ctx context.Context, id, reason string, giveUp bool) (Root, error) {
	all, err := b.Roots(ctx)
	if err != nil {
		return Root{}, err
	}
	i := slices.IndexFunc(all.Roots, func(r Root) bool { return r.ID == id && !r.FirstUsedAt.IsZero() })
	if i < 0 {
		return Root{}, refuse("nothing was ever made with a root secret %q: `parola secrets status` shows them", id)
	}
	r := all.Roots[i]
	switch {
	case r.Part == "root":
		return Root{}, refuse("%s is the root secret in force: replace it first", id)
	case len(r.MadeBy) > 0:
		return Root{}, refuse("the node %s makes things with %s: restart it with its successor in secrets.root", r.MadeBy[0], id)
	case !r.RetiredAt.IsZero():
		return Root{}, refuse("%s was retired at %s", id, stamp(r.RetiredAt))
	case len(r.Needs) > 0 && !giveUp:
		return Root{}, refuse("%s is needed: %s. `parola secrets reseal` makes anew what it can; the rest ends; --give-up gives up what is left", id, needWords(r.Needs))
	case giveUp && !displayable(strings.TrimSpace(reason), ""):
		return Root{}, refuse("giving up what is left needs a reason: it is written to the audit log")
	}
	r.RetiredAt = b.clock.Now()
	err = b.store.InTx(ctx, func(ctx context.Context) error {
		done, err := b.store.RetireRoot(ctx, id, r.RetiredAt)
		if err != nil || !done {
			return err
		}
		e := storage.Event{Kind: audit.RootRetired, ActorID: actor, Data: map[string]string{"root": id}}
		if len(r.Needs) > 0 {
			e.Data["given_up"] = needWords(r.Needs)
		}
		if reason != "" {
			e.Data["reason"] = reason
		}
		return b.write(ctx, e)
	})
	if err != nil {
		return Root{}, fmt.Errorf("retire root secret: %w", err)
	}
	return r, nil
}

func needWords(needs []RootNeed) string {
	words := make([]string, len(needs))
	for i, n := range needs {
		words[i] = strconv.Itoa(n.Count) + " " + strings.ReplaceAll(n.Kind, "_", " ")
	}
	return strings.Join(words, ", ")
}

// Resealed is what ResealSecrets did.
type Resealed struct {
	// Counts are the records of each kind that are sealed with the root in force now.
	Counts map[string]int `json:"counts"`
	// Damaged are records that no configured root opens.
	Damaged []string `json:"damaged,omitempty"`
}

// words tells an event what was resealed.
func (r Resealed) words() map[string]string {
	data := make(map[string]string)
	for _, kind := range slices.Sorted(maps.Keys(r.Counts)) {
		data[kind] = strconv.Itoa(r.Counts[kind])
	}
	return data
}
