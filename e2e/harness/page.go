package harness

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// Page is an answer as a browser without JavaScript has it.
type Page struct {
	// URL is where the page is from, after redirects.
	URL    *url.URL
	Status int
	Header http.Header
	Body   string
	// Stopped says that Browser.StopAt kept the browser from loading URL: there are no Status and Body then.
	Stopped bool
	root    *html.Node
}

// Form is a form on a page.
type Form struct {
	Action  *url.URL
	Method  string
	Values  url.Values
	Buttons []Button
	Hidden  bool
}

// Button is what submits a form.
type Button struct{ Name, Value, Text string }

func newPage(u *url.URL, resp *http.Response, body string) *Page {
	p := &Page{URL: u, Status: resp.StatusCode, Header: resp.Header, Body: body}
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html") {
		p.root, _ = html.Parse(strings.NewReader(body)) // html.Parse fails only if the reader does
	}
	return p
}

// Text is what a person can read on the page, with single spaces.
func (p *Page) Text() string {
	if p.root == nil {
		return ""
	}
	return textOf(p.root)
}

// Says says whether the page shows a text.
func (p *Page) Says(text string) bool { return strings.Contains(p.Text(), text) }

// MustSay fails the test unless the page shows all of the texts.
func (p *Page) MustSay(t testing.TB, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !p.Says(text) {
			t.Fatalf("%s (%d) does not say %q, but:\n%s", p.URL, p.Status, text, p.summary())
		}
	}
}

// MustNotSay fails the test if the page shows one of the texts.
func (p *Page) MustNotSay(t testing.TB, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if p.Says(text) {
			t.Fatalf("%s (%d) says %q:\n%s", p.URL, p.Status, text, p.summary())
		}
	}
}

func (p *Page) summary() string {
	if p.root == nil {
		return p.Body
	}
	return p.Text()
}

// Link returns the address of a link by its text.
func (p *Page) Link(text string) (*url.URL, bool) {
	for n := range p.descendants() {
		if n.DataAtom == atom.A && strings.Contains(textOf(n), text) {
			u, err := p.URL.Parse(get(n, "href"))
			return u, err == nil
		}
	}
	return nil, false
}

// Forms returns all forms of the page.
func (p *Page) Forms() []Form {
	var forms []Form
	for n := range p.descendants() {
		if n.DataAtom == atom.Form {
			forms = append(forms, p.form(n))
		}
	}
	return forms
}

// FormTo returns the form that is sent to a path.
func (p *Page) FormTo(t testing.TB, path string) Form {
	t.Helper()
	forms := p.Forms()
	i := slices.IndexFunc(forms, func(f Form) bool { return f.Action.Path == path })
	if i < 0 {
		t.Fatalf("%s (%d) has no form to %s:\n%s", p.URL, p.Status, path, p.summary())
	}
	return forms[i]
}

// formOf returns the visible form with a button, and that button.
func (p *Page) formOf(button string) (Form, Button, bool) {
	for _, f := range p.Forms() {
		i := slices.IndexFunc(f.Buttons, func(b Button) bool { return strings.Contains(b.Text, button) })
		if i >= 0 && !f.Hidden {
			return f, f.Buttons[i], true
		}
	}
	return Form{}, Button{}, false
}

// Offers says whether the page has a visible button with this text.
func (p *Page) Offers(button string) bool {
	_, _, ok := p.formOf(button)
	return ok
}

func (p *Page) form(n *html.Node) Form {
	f := Form{Method: strings.ToUpper(get(n, "method")), Values: url.Values{}, Hidden: has(n, "hidden")}
	f.Action, _ = p.URL.Parse(get(n, "action"))
	for c := range n.Descendants() {
		name := get(c, "name")
		switch {
		case c.DataAtom == atom.Button && get(c, "type") != "button":
			f.Buttons = append(f.Buttons, Button{Name: name, Value: get(c, "value"), Text: textOf(c)})
		case c.DataAtom == atom.Input && name != "":
			f.Values.Set(name, get(c, "value"))
		}
	}
	return f
}

func (p *Page) descendants() func(yield func(*html.Node) bool) {
	if p.root == nil {
		return func(func(*html.Node) bool) {}
	}
	return p.root.Descendants()
}

// inline elements stand within a line; every other one begins a new one.
var inline = []atom.Atom{atom.Bdi, atom.B, atom.Strong, atom.Em, atom.I, atom.Span, atom.Time, atom.A}

// textOf is the visible text of an element and what is in it.
func textOf(n *html.Node) string {
	var text strings.Builder
	var walk func(n *html.Node)
	walk = func(n *html.Node) {
		switch {
		case n.Type == html.TextNode:
			text.WriteString(n.Data)
			return
		case n.DataAtom == atom.Script, n.DataAtom == atom.Style, n.DataAtom == atom.Head, has(n, "hidden"):
			return
		}
		for c := range n.ChildNodes() {
			walk(c)
		}
		if !slices.Contains(inline, n.DataAtom) {
			text.WriteByte(' ')
		}
	}
	walk(n)
	return strings.Join(strings.Fields(text.String()), " ")
}

func get(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func has(n *html.Node, name string) bool {
	return slices.ContainsFunc(n.Attr, func(a html.Attribute) bool { return a.Key == name })
}
