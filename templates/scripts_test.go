package templates

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"testing"
	"time"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/parola-id/parola/storage/storagetest"
)

func TestInABrowser(t *testing.T) {
	if _, err := exec.LookPath("chromium"); err != nil {
		storagetest.SkipLoudly(t, "THE SCRIPTS ARE NOT TESTED: there is no chromium in the path", "install it")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ctx, cancel = chromedp.NewExecAllocator(ctx, append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath("chromium"), chromedp.NoSandbox)...)
	defer cancel()
	browser, cancel := chromedp.NewContext(ctx)
	defer cancel()
	do(t, browser)
	for name, test := range map[string]func(t *testing.T, browser context.Context){
		"the passcode page follows the message":             passcodePageFollowsTheMessage,
		"a password is revealed, and hidden before posting": passwordIsRevealed,
		"form_post sends itself":                            formPostSendsItself,
		"the field keeps its place when the status changes": fieldKeepsItsPlace,
	} {
		t.Run(name, func(t *testing.T) { test(t, browser) })
	}
}

// newTab opens a tab in front of the handler, and fails the test for every complaint on its console.
func newTab(t *testing.T, browser context.Context, h http.Handler) (ctx context.Context, url string) {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/favicon.ico" { // the browser may ask before it has read which icon the page names
			w.WriteHeader(http.StatusNoContent)
			return
		}
		h.ServeHTTP(w, r)
	}))
	ctx, cancel := chromedp.NewContext(browser, chromedp.WithListener(func(event any) {
		switch e := event.(type) {
		case *log.EventEntryAdded:
			t.Errorf("console: %s %s", e.Entry.Text, e.Entry.URL)
		case *runtime.EventExceptionThrown:
			t.Errorf("script failed: %s", e.ExceptionDetails.Text)
		}
	}))
	t.Cleanup(func() {
		cancel()
		srv.CloseClientConnections()
		srv.Close()
	})
	return ctx, srv.URL
}

func do(t *testing.T, ctx context.Context, steps ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	if err := chromedp.Do(ctx, steps...); err != nil {
		t.Fatal(err)
	}
}

// js runs a script in the page, past the policy, as a person's hand would.
func js(expression string) chromedp.Action[chromedp.Void] {
	return chromedp.Evaluate[chromedp.Void](expression)
}

// holds waits until a JavaScript expression is true.
func holds(t *testing.T, ctx context.Context, expression string) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		// An error is a page on its way to another: asked again like a false.
		if ok, err := chromedp.Run(ctx, chromedp.Evaluate[bool](expression)); err == nil && ok {
			return
		}
	}
	t.Fatalf("never true: %s", expression)
}

// servePage answers with one page under the policy, and with the static files.
func servePage(t *testing.T, tmpl *Templates, p renderer) *http.ServeMux {
	mux := http.NewServeMux()
	mux.Handle("/static/", tmpl.Static())
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", ContentSecurityPolicy())
		if err := p.Render(w, tmpl, knownPerson); err != nil {
			t.Error(err)
		}
	})
	return mux
}

// stream is an event stream that the test speaks on.
type stream struct {
	events chan string
	opened chan struct{}
	closed chan struct{}
}

func (s *stream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.WriteHeader(http.StatusOK)
	w.(http.Flusher).Flush()
	s.opened <- struct{}{}
	for {
		select {
		case e := <-s.events:
			fmt.Fprint(w, e)
			w.(http.Flusher).Flush()
		case <-r.Context().Done():
			s.closed <- struct{}{}
			return
		}
	}
}

func (s *stream) say(t *testing.T, tmpl *Templates, status PasscodeStatus) {
	t.Helper()
	var b bytes.Buffer
	if err := status.Render(&b, tmpl, View{}); err != nil {
		t.Fatal(err)
	}
	s.events <- "data: " + b.String() + "\n\n"
}

func wait(t *testing.T, c <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(5 * time.Second):
		t.Fatalf("never happened: %s", what)
	}
}

func passcodePageFollowsTheMessage(t *testing.T, browser context.Context) {
	tmpl := newTemplates(t)
	page := passcodeAt(StageOnItsWay)
	page.EndedURL, page.EventsURL = "/ended", "/events"
	mux := servePage(t, tmpl, page)
	s := &stream{make(chan string), make(chan struct{}, 4), make(chan struct{}, 4)}
	mux.Handle("/events", s)
	mux.HandleFunc("/ended", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, "<title>ended</title>")
	})
	ctx, url := newTab(t, browser, mux)

	do(t, ctx, chromedp.Navigate(url+"/"))
	wait(t, s.opened, "the page listens")
	holds(t, ctx, `document.querySelector("[data-check-again]").hidden`)
	holds(t, ctx, `[...document.querySelectorAll("[data-wait-for]:not([hidden]) button")].every(b => b.disabled)`)
	do(t, ctx, chromedp.SendKeys("#passcode", "123 45"))
	holds(t, ctx, `!passcode.checkValidity()`)
	do(t, ctx, chromedp.SendKeys("#passcode", "6"))
	holds(t, ctx, `passcode.checkValidity()`)

	s.say(t, tmpl, passcodeAt(StageDelivered).Status)
	holds(t, ctx, `document.querySelector(".status.good .status-text").textContent.includes("arrived")`)
	holds(t, ctx, `!document.querySelector("[data-wait-for=sms] button").disabled`)
	holds(t, ctx, `passcode.value === "123 456" && document.activeElement === passcode`)

	// The same words again: nothing for a screen reader to repeat, but the timer is set anew.
	do(t, ctx, js(`document.querySelector(".status-text").same = document.querySelector(".status-more").same = true`))
	again := passcodeAt(StageDelivered).Status
	again.SMSIn, again.ResendIn = 100*time.Second, Never
	s.say(t, tmpl, again)
	holds(t, ctx, `document.querySelector("[data-wait-for=resend]").hidden`)
	holds(t, ctx, `document.querySelector(".status-more .timer").textContent.startsWith("1:")`)
	holds(t, ctx, `document.querySelector(".status-text").same && document.querySelector(".status-more").same`)

	// A tab in the background lets go of its connection.
	show := func(hidden bool) chromedp.Action[chromedp.Void] {
		return js(fmt.Sprintf(`Object.defineProperty(document, "hidden", {value: %v, configurable: true});
			document.dispatchEvent(new Event("visibilitychange"))`, hidden))
	}
	do(t, ctx, show(true))
	wait(t, s.closed, "the hidden tab closes its stream")
	do(t, ctx, show(false))
	wait(t, s.opened, "the visible tab listens again")

	s.events <- "event: end\ndata:\n\n"
	holds(t, ctx, `document.title === "ended"`)
}

func passwordIsRevealed(t *testing.T, browser context.Context) {
	tmpl := newTemplates(t)
	mux := servePage(t, tmpl, Password{Action: "/login"})
	posted := make(chan string, 1)
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		posted <- r.FormValue(FieldPassword)
		w.WriteHeader(http.StatusNoContent)
	})
	ctx, url := newTab(t, browser, mux)
	do(t, ctx, chromedp.Navigate(url+"/"), chromedp.WaitVisible("[data-reveal]"), chromedp.SendKeys("#password", "opensesame"),
		chromedp.Click("[data-reveal]"))
	holds(t, ctx, `password.type === "text" && document.querySelector("[data-reveal]").textContent === "Hide"`)
	do(t, ctx, chromedp.Click(".primary"))
	holds(t, ctx, `password.type === "password"`)
	if got := <-posted; got != "opensesame" {
		t.Errorf("posted %q", got)
	}
}

func formPostSendsItself(t *testing.T, browser context.Context) {
	tmpl := newTemplates(t)
	mux := servePage(t, tmpl, FormPost{Action: "/cb", Fields: []FormField{{"code", "abc"}, {"submit", "a field of this name"}}})
	posted := make(chan string, 1)
	mux.HandleFunc("POST /cb", func(w http.ResponseWriter, r *http.Request) {
		posted <- r.FormValue("code")
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, "<title>arrived</title>")
	})
	ctx, url := newTab(t, browser, mux)
	do(t, ctx, chromedp.Navigate(url+"/"))
	holds(t, ctx, `document.title === "arrived"`)
	if got := <-posted; got != "abc" {
		t.Errorf("posted %q", got)
	}
}

func fieldKeepsItsPlace(t *testing.T, browser context.Context) {
	tmpl := newTemplates(t)
	mux := http.NewServeMux()
	mux.Handle("/static/", tmpl.Static())
	mux.HandleFunc("GET /page/{lang}", func(w http.ResponseWriter, r *http.Request) {
		p := passcodeAt(StageSending)
		p.EventsURL = ""
		if err := p.Render(w, tmpl, View{Language: r.PathValue("lang")}); err != nil {
			t.Error(err)
		}
	})
	ctx, url := newTab(t, browser, mux)
	for _, width := range []int64{360, 390} {
		do(t, ctx, chromedp.EmulateViewport(width, 844))
		for _, lang := range tmpl.Languages() {
			do(t, ctx, chromedp.Navigate(url+"/page/"+lang))
			var fragments, names []string
			for _, s := range everyStatus() {
				var b bytes.Buffer
				if err := s.status.Render(&b, tmpl, View{Language: lang}); err != nil {
					t.Fatal(err)
				}
				fragments, names = append(fragments, b.String()), append(names, s.name)
			}
			list, err := json.Marshal(fragments)
			if err != nil {
				t.Fatal(err)
			}
			heights, err := chromedp.Run(ctx, chromedp.Evaluate[[]float64](string(list)+`.map(status => {
				live.innerHTML = status;
				return live.firstElementChild.offsetHeight;
			})`))
			if err != nil {
				t.Fatal(err)
			}
			for i, h := range heights {
				if h != heights[0] {
					t.Errorf("%s, %d wide: the status is %v high when %s, and %v when %s", lang, width, heights[0], names[0], h, names[i])
				}
			}
		}
	}
}
