package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"
)

// The most that one import takes, and how many entries share a transaction: long enough to be quick, short enough that
// logins do not wait for it.
const (
	maxImportBytes   = 64 << 20
	maxImportEntries = 200_000
	importBatch      = 50
)

// ImportOptions say how an import treats what exists.
type ImportOptions struct {
	// DryRun does everything and keeps nothing.
	DryRun bool
	// Update lays an entry over the record that exists; without it that entry is skipped.
	Update bool
}

// The results of an entry.
const (
	ImportAdded     = "added"
	ImportUpdated   = "updated"
	ImportUnchanged = "unchanged"
	ImportSkipped   = "skipped" // it exists
	ImportRefused   = "refused"
)

// ImportEntry is what became of one entry of the file.
type ImportEntry struct {
	// Index counts from 1.
	Index int `json:"index"`
	// Name is the user name or client id, as far as it could be read.
	Name   string `json:"name,omitempty"`
	Result string `json:"result"`
	// Reason says why an entry was refused or skipped.
	Reason string `json:"reason,omitempty"`
	// Notes are warnings about an entry that was taken.
	Notes []string `json:"notes,omitempty"`
	// ClientSecret is one that Parola generated because the entry needs one and has none; it is shown here alone.
	ClientSecret string `json:"client_secret,omitempty"`
}

// ImportReport is what became of a file.
type ImportReport struct {
	DryRun  bool          `json:"dry_run,omitempty"`
	Entries []ImportEntry `json:"entries"`
}

// Count is the number of entries with a result.
func (r ImportReport) Count(result string) int {
	n := 0
	for _, e := range r.Entries {
		if e.Result == result {
			n++
		}
	}
	return n
}

// importItem is one entry on its way. prepare checks and hashes, outside any transaction; save stores, inside one, and
// may run again when the database asks for it. Either refuses the entry with a *RefusedError; save does so before it
// has written anything.
type importItem struct {
	prepare func(ctx context.Context) error
	save    func(ctx context.Context) (result string, err error)
}

// errDryRun rolls a batch back after everything in it has been done.
var errDryRun = errors.New("dry run")

// runImport takes entries in batches, one transaction each: what is reported as stored is stored, also when a later
// batch fails. An entry whose result is set already is passed over.
func (b *Base) runImport(ctx context.Context, entries []ImportEntry, items []importItem, o ImportOptions) error {
	for start := 0; start < len(items); start += importBatch {
		end := min(start+importBatch, len(items))
		var ready []int
		for i := start; i < end; i++ {
			if entries[i].Result != "" {
				continue
			}
			if err := entries[i].refusedBy(items[i].prepare(ctx)); err != nil {
				return stopped(i, err)
			}
			if entries[i].Result == "" {
				ready = append(ready, i)
			}
		}
		at := start
		err := b.store.InTx(ctx, func(ctx context.Context) error {
			for _, i := range ready {
				at = i
				result, err := items[i].save(ctx)
				entries[i].Result, entries[i].Reason = result, ""
				if err := entries[i].refusedBy(err); err != nil {
					return err
				}
			}
			if o.DryRun {
				return errDryRun
			}
			return nil
		})
		if err != nil && !errors.Is(err, errDryRun) {
			for _, i := range ready {
				entries[i].Result = ""
			}
			return stopped(at, err)
		}
	}
	return nil
}

// refusedBy notes a refusal and passes any other error on.
func (e *ImportEntry) refusedBy(err error) error {
	var refused *RefusedError
	if errors.As(err, &refused) {
		e.Result, e.Reason = ImportRefused, refused.Reason
		return nil
	}
	return err
}

func stopped(i int, err error) error {
	return fmt.Errorf("import stopped at entry %d; entries reported as added or updated are stored, run it again for the others: %w", i+1, err)
}

// splitImport cuts a JSON array into its entries; a single object is an array of one.
func splitImport(data []byte) ([]json.RawMessage, error) {
	switch {
	case len(data) > maxImportBytes:
		return nil, refuse("the file has more than %d MiB: cut it in two", maxImportBytes>>20)
	case !utf8.Valid(data):
		return nil, refuse("the file is not UTF-8")
	}
	var entries []json.RawMessage
	if err := json.Unmarshal(data, &entries); err != nil {
		var one map[string]json.RawMessage
		if json.Unmarshal(data, &one) == nil && one != nil {
			return []json.RawMessage{data}, nil
		}
		return nil, refuse("the file is not a JSON array: %v", err)
	}
	if len(entries) > maxImportEntries {
		return nil, refuse("the file has more than %d entries: cut it in two", maxImportEntries)
	}
	return entries, nil
}

// firstOf refuses an entry whose name an earlier one of the file has.
func firstOf(seen map[string]int, e *ImportEntry, what string) {
	if e.Name == "" || e.Result != "" {
		return
	}
	if earlier := seen[e.Name]; earlier > 0 {
		e.Result, e.Reason = ImportRefused, fmt.Sprintf("%s is already that of entry %d", what, earlier)
		return
	}
	seen[e.Name] = e.Index
}

// differing lists the names whose values differ between two JSON objects.
func differing(before, after any) ([]string, error) {
	var sides [2]map[string]json.RawMessage
	for i, v := range []any{before, after} {
		text, err := json.Marshal(v)
		if err == nil {
			err = json.Unmarshal(text, &sides[i])
		}
		if err != nil {
			return nil, fmt.Errorf("compare records: %w", err)
		}
	}
	var names []string
	for name, value := range sides[0] {
		if string(sides[1][name]) != string(value) {
			names = append(names, name)
		}
	}
	for name := range sides[1] {
		if _, had := sides[0][name]; !had {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}
