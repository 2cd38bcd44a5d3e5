package throttle

import (
	"net/netip"
	"time"

	"github.com/parola-id/parola/storage"
)

const (
	// household is what one IPv6 customer has at least; addresses in it are free to choose.
	household = 64
	// site is what one customer may be given (RFC 6177): 65,536 households for whoever wants to be as many.
	site = 48
	// siteTimes is how many times a household's limits a site has. Providers that give homes a /56 have 256 of them in a
	// /48, and networks of telephones a household for each: it has to do for those who come together, and be far below
	// what 65,536 would have.
	siteTimes = 16
)

// Source is what a client's address is to limits and events (DOS-05): an IPv4 address, or the /64 of an IPv6 one. What is
// no address is the empty string.
func Source(a netip.Addr) string {
	a = a.Unmap().WithZone("")
	switch {
	case !a.IsValid():
		return ""
	case a.Is4():
		return a.String()
	}
	return netip.PrefixFrom(a, household).Masked().String()
}

// Network is a range of addresses that a limit per source counts together.
type Network struct {
	// Name is in the form of Source.
	Name string
	// Times is how many times the limit of one source it has.
	Times int
}

// Networks are those of a source: itself and, around the /64 of an IPv6 one, the /48.
func Networks(source string) []Network {
	all := []Network{{Name: source, Times: 1}}
	if p, err := netip.ParsePrefix(source); err == nil && p.Addr().Is6() && p.Bits() > site {
		all = append(all, Network{Name: netip.PrefixFrom(p.Addr(), site).Masked().String(), Times: siteTimes})
	}
	return all
}

// ofSource are the buckets of a source, n per time and source, that are told from others of their kind by what they are
// about. None holds more than a budget may.
func (t *Throttle) ofSource(kind, about, source string, per time.Duration, n int) (all []storage.Throttle) {
	for _, of := range Networks(source) {
		all = append(all, buckets(t.keysOf(kind, about+of.Name), per, min(n*of.Times, int(mostMoney)))...)
	}
	return all
}
