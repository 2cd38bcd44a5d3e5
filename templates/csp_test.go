package templates

import (
	"strings"
	"testing"
)

func TestWEB04_FormsGoToUsAndTheOriginsGiven(t *testing.T) {
	for _, c := range []struct {
		name    string
		origins []string
		want    string
	}{
		{"nobody else", nil, "'self'"},
		{"a redirect URI counts by its origin", []string{"https://shop.example:8443/cb?x=1"}, "'self' https://shop.example:8443"},
		{"a person in the address is left out", []string{"https://ada:pw@shop.example/"}, "'self' https://shop.example"},
		{"a native client's own scheme", []string{"com.example.shop:/cb"}, "'self' com.example.shop:"},
		{"a loopback address", []string{"http://127.0.0.1:51004/cb"}, "'self' http://127.0.0.1:51004"},
		{"an IPv6 loopback address, which a policy cannot name", []string{"http://[::1]:51004/cb"}, "'self' http:"},
		{"two origins", []string{"https://a.example/", "https://b.example/"}, "'self' https://a.example https://b.example"},
		{"a wildcard is refused", []string{"https://*.example/"}, "'self'"},
		{"an end of the directive is refused", []string{"https://a.example;script-src/"}, "'self'"},
		{"a path is no origin", []string{"/cb"}, "'self'"},
	} {
		policy := ContentSecurityPolicy(c.origins...)
		if !strings.Contains(policy, "form-action "+c.want+"; ") {
			t.Errorf("%s: %s", c.name, policy)
		}
	}
}

func FuzzContentSecurityPolicy(f *testing.F) {
	f.Add("https://shop.example/cb")
	f.Add("https://a;b 'c'")
	f.Add("com.example:/cb")
	directives := strings.Count(ContentSecurityPolicy(), ";")
	f.Fuzz(func(t *testing.T, origin string) {
		policy := ContentSecurityPolicy(origin)
		if strings.Count(policy, ";") != directives || strings.ContainsAny(policy, "*,\r\n") || strings.Count(policy, " ") > strings.Count(ContentSecurityPolicy(), " ")+1 {
			t.Errorf("%q gives %q", origin, policy)
		}
	})
}
