package browser

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// patience is how long a page may take to say what is expected.
const patience = 20 * time.Second

// tab is one tab. Whatever its pages complain of on their consoles fails the test.
type tab struct {
	t        *testing.T
	ctx      context.Context
	patience time.Duration
	mu       sync.Mutex
	problems []string
}

// withPatience changes how long the tab waits for what is expected.
func (b *tab) withPatience(d time.Duration) *tab {
	b.patience = d
	return b
}

// newTab is a tab of a new profile: no cookies, nothing cached.
func newTab(t *testing.T) *tab {
	t.Helper()
	return openTab(t, chromium.start(t), chromedp.WithNewBrowserContext())
}

// another is a second tab of the same profile.
func (b *tab) another() *tab { return openTab(b.t, b.ctx) }

func openTab(t *testing.T, parent context.Context, options ...chromedp.ContextOption) *tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(parent, options...)
	b := &tab{t: t, ctx: ctx, patience: patience}
	if err := chromedp.Do(ctx); err != nil { // a tab lives as long as the context of its first step
		t.Fatal(err)
	}
	b.do(chromedp.EmulateViewport(390, 844))
	listening := make(chan struct{})
	messages := chromedp.Console(ctx)
	go func() {
		defer close(listening)
		for m, err := range messages {
			if err != nil {
				return
			}
			b.hear(m)
		}
	}()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the tab is at %s:\n%s", b.url(), b.text())
		}
		cancel()
		<-listening
		for _, p := range b.problems {
			t.Errorf("the console says: %s", p)
		}
	})
	return b
}

// hear keeps what is a fault. A page that is itself a refusal (a wrong password is a 403) is none; a file of a page that
// does not load is.
func (b *tab) hear(m chromedp.ConsoleMessage) {
	if m.Type != chromedp.ConsoleError && m.Type != chromedp.ConsoleWarning && !m.IsException() {
		return
	}
	if m.Source == "network" && strings.Contains(m.Text, "the server responded with a status of") && !strings.Contains(m.URL, "/static/") {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.problems = append(b.problems, fmt.Sprintf("%s (%s, %s)", m, m.Source, m.URL))
}

func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		b.t.Fatal(err)
	}
}

// withoutJavaScript keeps pages from running any.
func (b *tab) withoutJavaScript() *tab {
	b.t.Helper()
	if _, err := chromedp.Call(b.ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}); err != nil {
		b.t.Fatal(err)
	}
	return b
}

// run evaluates an expression in the page. A page that is just being replaced is asked again.
func run[T any](b *tab, expression string) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	for {
		value, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression))
		if err == nil {
			return value
		}
		if ctx.Err() != nil || strings.Contains(err.Error(), "Error:") {
			b.t.Fatalf("evaluate %.200s: %v", expression, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// open loads a page.
func (b *tab) open(url string) *tab {
	b.t.Helper()
	b.do(chromedp.Navigate(url))
	return b
}

func (b *tab) url() string { return run[string](b, `location.href`) }

// text is what a person can read, with single spaces.
func (b *tab) text() string {
	return strings.Join(strings.Fields(run[string](b, `document.body ? document.body.innerText : ""`)), " ")
}

// until waits for the page, or a later one, to say all of the texts.
func (b *tab) until(texts ...string) *tab {
	b.t.Helper()
	b.eventually(fmt.Sprintf("the page says %q", texts), func() bool {
		text := b.text()
		return !slices.ContainsFunc(texts, func(s string) bool { return !strings.Contains(text, s) })
	})
	return b
}

// untilAny waits for the page to say one of the texts.
func (b *tab) untilAny(texts ...string) *tab {
	b.t.Helper()
	b.eventually(fmt.Sprintf("the page says one of %q", texts), func() bool {
		text := b.text()
		return slices.ContainsFunc(texts, func(s string) bool { return strings.Contains(text, s) })
	})
	return b
}

func (b *tab) says(text string) bool { return strings.Contains(b.text(), text) }

func (b *tab) saysNot(texts ...string) *tab {
	b.t.Helper()
	text := b.text()
	for _, s := range texts {
		if strings.Contains(text, s) {
			b.t.Errorf("%s says %q:\n%s", b.url(), s, text)
		}
	}
	return b
}

func (b *tab) eventually(what string, done func() bool) {
	b.t.Helper()
	for end := time.Now().Add(b.patience); !done(); time.Sleep(30 * time.Millisecond) {
		if time.Now().After(end) {
			b.t.Fatalf("waited %v in vain: %s", b.patience, what)
		}
	}
}

// fill puts a value into a field, in the place of what was there, as typing it would.
func (b *tab) fill(field, value string) *tab {
	b.t.Helper()
	b.eventually("a field "+field, func() bool {
		return run[bool](b, `(() => {
			const field = document.getElementById(`+quoted(field)+`);
			if (!field || !field.checkVisibility()) return false;
			field.focus();
			field.select();
			return document.activeElement === field;
		})()`)
	})
	b.do(func(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, t, input.InsertText, input.InsertTextParams{Text: value})
		return chromedp.Void{}, err
	})
	return b
}

func (b *tab) value(field string) string {
	return run[string](b, `document.getElementById(`+quoted(field)+`).value`)
}

// offers says whether a button or link can be seen and used.
func (b *tab) offers(words string) bool { return b.use(words, false) }

// use finds a button or link that nothing covers, and presses it. The page does both at once, because what is found may
// move before a mouse gets there.
func (b *tab) use(words string, press bool) bool {
	return run[bool](b, fmt.Sprintf(`((words, press) => {
		for (const e of document.querySelectorAll("button, a")) {
			if (e.disabled || !e.checkVisibility() || !e.innerText.includes(words)) continue;
			e.scrollIntoView({block: "center", behavior: "instant"});
			const box = e.getClientRects()[0];
			const top = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
			if (!e.contains(top)) continue;
			if (press) e.click();
			return true;
		}
		return false;
	})(%s, %v)`, quoted(words), press))
}

// press presses a button or link, once it is there, and waits for the page that follows.
func (b *tab) press(words string) *tab {
	b.t.Helper()
	before := b.birth()
	b.eventually("a button or link "+words, func() bool { return b.use(words, true) })
	b.eventually("a page after "+words, func() bool {
		return b.birth() != before && run[string](b, `document.readyState`) == "complete"
	})
	return b
}

// birth tells two documents apart, of the same address too.
func (b *tab) birth() float64 { return run[float64](b, `performance.timeOrigin`) }

// back is the browser's own button.
func (b *tab) back() *tab {
	b.t.Helper()
	before := b.birth()
	run[bool](b, `history.back(), true`)
	b.eventually("a page after going back", func() bool { return b.birth() != before })
	return b
}

// cookies are those that the browser would send to an address.
func (b *tab) cookies(url string) []*network.Cookie {
	b.t.Helper()
	got, err := chromedp.Call(b.ctx, network.GetCookies, network.GetCookiesParams{URLs: []string{url}})
	if err != nil {
		b.t.Fatal(err)
	}
	return got.Cookies
}

func quoted(s string) string {
	q, err := json.Marshal(s)
	if err != nil {
		return `""`
	}
	return string(q)
}
