package check

import (
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/storage"
)

// Count is how much there was of everything: what a run did, beside whether it held.
func (r *Record) Count() map[string]int {
	n := map[string]int{"challenges": len(r.Challenges), "sessions": len(r.Sessions), "grants": len(r.Grants), "tokens": len(r.Tokens),
		"events": len(r.Events)}
	called := map[string]bool{}
	for _, c := range r.Calls {
		called[c.Delivery] = true
	}
	for _, c := range r.Challenges {
		end := string(c.End)
		if end == "" {
			end = "not yet"
		}
		n["challenges ended as "+end]++
	}
	for _, d := range r.Deliveries {
		n["messages by "+string(d.Channel)]++
		n["messages "+string(d.State)]++
		if d.Channel == storage.SMS && d.Automatic {
			n["automatic SMS because of "+d.Trigger]++
		}
		if d.Channel == storage.SMS && d.State == storage.DeliveryUnknown && !called[d.ID] {
			n["SMS whose call a kill cut off (the one exception)"]++
		}
	}
	for _, e := range r.Events {
		switch e.Kind {
		case audit.CodeIssued:
			n["AuthCodes in the log"]++
		case audit.CodeRedeemed:
			n["AuthCodes redeemed"]++
		case audit.TokenRefreshed:
			n["refreshes"]++
		case audit.CodeReplayed, audit.TokenReuse:
			n["replays refused"]++
		}
	}
	for _, a := range r.Told.People {
		n["AuthCodes that people saw"] += a.AuthCodes
	}
	return n
}

// most is how many violations a report shows.
const most = 50

// Report writes figures and findings, and says whether everything held.
func Report(out io.Writer, figures map[string]int, found []Finding) bool {
	for _, name := range slices.Sorted(maps.Keys(figures)) {
		fmt.Fprintf(out, "%8d  %s\n", figures[name], name)
	}
	if len(found) == 0 {
		fmt.Fprintln(out, "invariants held")
		return true
	}
	for i, f := range found {
		if i == most {
			fmt.Fprintf(out, "… and %d more\n", len(found)-i)
			break
		}
		fmt.Fprintln(out, "BROKEN:", f)
	}
	return false
}
