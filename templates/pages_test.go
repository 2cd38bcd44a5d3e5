package templates

import (
	"bytes"
	"io"
	"testing"
)

type renderer interface {
	Render(io.Writer, *Templates, View) error
}

func newTemplates(t testing.TB) *Templates {
	t.Helper()
	tmpl, err := New(Config{Brand: Brand{Name: "Parola"}})
	if err != nil {
		t.Fatal(err)
	}
	return tmpl
}

func TestEveryPageRenders(t *testing.T) {
	tmpl := newTemplates(t)
	for _, p := range []renderer{Password{}, Passcode{Length: 6}, PasscodeStatus{}, PasscodeEnded{}, NoPhone{}, ChannelsDown{}, Consent{},
		SelectAccount{}, LogoutConfirm{}, SignedOut{}, Home{}, Error{}, Interstitial{}, FormPost{}} {
		for _, l := range tmpl.Languages() {
			var b bytes.Buffer
			if err := p.Render(&b, tmpl, View{Language: l}); err != nil {
				t.Errorf("%T in %s: %v", p, l, err)
			}
		}
	}
}
