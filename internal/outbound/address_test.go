package outbound

import (
	"net/netip"
	"testing"
)

func TestSSR01_AddressesThatAreNotPublic(t *testing.T) {
	for _, tt := range []struct {
		name string
		addr string
		want bool
	}{
		{"a public IPv4 address", "93.184.215.14", true},
		{"a public IPv6 address", "2606:2800:21f:cb07:6820:80da:af6b:8b2c", true},
		{"loopback", "127.0.0.1", false},
		{"another loopback address", "127.255.255.254", false},
		{"this network", "0.0.0.0", false},
		{"private, class A", "10.1.2.3", false},
		{"private, class B, first", "172.16.0.1", false},
		{"private, class B, last", "172.31.255.255", false},
		{"just after private class B", "172.32.0.1", true},
		{"private, class C", "192.168.1.1", false},
		{"carrier-grade NAT", "100.64.0.1", false},
		{"metadata behind carrier-grade NAT", "100.100.100.200", false},
		{"just after carrier-grade NAT", "100.128.0.1", true},
		{"link-local metadata", "169.254.169.254", false},
		{"protocol assignments metadata", "192.0.0.192", false},
		{"host agent on a public address", "168.63.129.16", false},
		{"documentation 1", "192.0.2.1", false},
		{"documentation 2", "198.51.100.1", false},
		{"documentation 3", "203.0.113.1", false},
		{"benchmarking", "198.19.255.255", false},
		{"multicast", "224.0.0.1", false},
		{"reserved", "240.0.0.1", false},
		{"broadcast", "255.255.255.255", false},
		{"IPv6 loopback", "::1", false},
		{"IPv6 unspecified", "::", false},
		{"IPv4-mapped loopback", "::ffff:127.0.0.1", false},
		{"IPv4-mapped public", "::ffff:93.184.215.14", false},
		{"IPv4-compatible", "::7f00:1", false},
		{"NAT64 of a private address", "64:ff9b::a00:1", false},
		{"local NAT64", "64:ff9b:1::1", false},
		{"unique local", "fd00::1", false},
		{"metadata on unique local", "fd00:ec2::254", false},
		{"IPv6 link-local", "fe80::1", false},
		{"IPv6 link-local with a zone", "fe80::1%eth0", false},
		{"a public address with a zone", "2606:2800::1%eth0", false},
		{"deprecated site-local", "fec0::1", false},
		{"IPv6 multicast", "ff02::1", false},
		{"Teredo", "2001:0:1::1", false},
		{"ORCHID", "2001:20::1", false},
		{"IPv6 documentation", "2001:db8::1", false},
		{"newer IPv6 documentation", "3fff:123::1", false},
		{"6to4 of loopback", "2002:7f00:1::1", false},
		{"discard only", "100::1", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := public(netip.MustParseAddr(tt.addr)); got != tt.want {
				t.Errorf("public(%s) = %v, want %v", tt.addr, got, tt.want)
			}
		})
	}
	if public(netip.Addr{}) {
		t.Error("the zero address counts as public")
	}
}
