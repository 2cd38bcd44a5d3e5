package login

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/parola-id/parola/internal/username"
)

func FuzzReference(f *testing.F) {
	f.Add("r=abc", "csrf=x&passcode=123456", true)
	f.Add("r=abc&r=def", "", false)
	f.Add("r=%zz", "request=other", true)
	f.Add("r=%00", "", false) // PostgreSQL would refuse it with an error, and that would look like an outage
	f.Add("r=abc", strings.Repeat("&", 70)+"a=1", true)
	f.Fuzz(func(t *testing.T, query, body string, post bool) {
		r := httptest.NewRequest(http.MethodGet, "/login", nil)
		if post {
			r = httptest.NewRequest(http.MethodPost, "/login", strings.NewReader(body))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		r.URL.RawQuery = query
		id, status, _ := reference(r)
		switch {
		case status == 0 && !couldBeID(id):
			t.Errorf("%q refers to %q", query, id)
		case status != 0 && (id != "" || status != http.StatusBadRequest):
			t.Errorf("%q is refused with %d and refers to %q", query, status, id)
		}
		for name, values := range r.PostForm {
			if status == 0 && len(values) > 1 {
				t.Errorf("%q is taken %d times", name, len(values))
			}
		}
	})
}

func FuzzCanonicalName(f *testing.F) {
	f.Add("Anna ")
	f.Add("two words\x00")
	f.Add("\u202eanna")
	f.Fuzz(func(t *testing.T, typed string) {
		name := canonical(typed)
		if name == "" {
			t.Errorf("%q has no name to count under", typed)
		}
		if _, err := username.Canonical(typed); err != nil {
			if _, err := username.Canonical(name); err == nil {
				t.Errorf("%q, which cannot be a name, stands for %q, which can", typed, name)
			}
		} else if canonical(name) != name {
			t.Errorf("%q is counted under %q and that under %q", typed, name, canonical(name))
		}
	})
}

func TestINP01_AFormOfTooManyFieldsIsRefused(t *testing.T) {
	for n, want := range map[int]int{maxFields: 0, maxFields + 1: http.StatusBadRequest} {
		form := make(url.Values)
		for i := range n {
			form.Set("f"+strconv.Itoa(i), "x")
		}
		r := httptest.NewRequest(http.MethodPost, "/login?r=abc", strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if _, status, _ := reference(r); status != want {
			t.Errorf("%d fields: status %d, want %d", n, status, want)
		}
	}
}
