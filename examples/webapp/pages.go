package webapp

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"time"
)

//go:embed pages/*.html
var pageFiles embed.FS

//go:embed static/style.css
var stylesheet []byte

// frame is what every page shows around its own content.
type frame struct {
	Title      string
	Here       string // path of the current page in the menu
	Person     string // empty: nobody is signed in
	HandsetURL string
	HasAPI     bool
}

func (a *app) frame(r *http.Request, title, here string) frame {
	f := frame{Title: title, Here: here, HandsetURL: a.cfg.HandsetURL, HasAPI: a.cfg.APIURL != ""}
	if acct := a.account(r.Context()); acct != nil {
		if f.Person = acct.Name; f.Person == "" {
			f.Person = parseClaims(acct.Claims).person()
		}
	}
	return f
}

// person is the friendliest name among the claims of an ID token or of the userinfo endpoint.
func (c claims) person() string {
	for _, name := range []string{c.Name, c.PreferredUsername, c.Email} {
		if name != "" {
			return name
		}
	}
	return c.Subject
}

func parsePages() (*template.Template, error) {
	return template.New("").Funcs(template.FuncMap{
		"euro": func(cents int64) string { return fmt.Sprintf("€ %d.%02d", cents/100, cents%100) },
		"when": func(t time.Time) string { return t.UTC().Format("2 January 2006, 15:04:05 UTC") },
		"unix": func(seconds int64) time.Time { return time.Unix(seconds, 0) },
	}).ParseFS(pageFiles, "pages/*.html")
}

// render executes into a buffer first, so that a page is sent whole or not at all.
func (a *app) render(w http.ResponseWriter, status int, name string, page any) {
	var body bytes.Buffer
	if err := a.templates.ExecuteTemplate(&body, name+".html", page); err != nil {
		a.cfg.Log.Error("render a page", "page", name, "err", err)
		http.Error(w, "This page could not be shown.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = body.WriteTo(w) // the visitor has gone; there is nobody left to tell
}

func (a *app) stylesheet(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	w.Header().Set("Cache-Control", "max-age=300")
	_, _ = w.Write(stylesheet)
}

// indented formats verified JSON for reading.
func indented(raw json.RawMessage) string {
	var out bytes.Buffer
	if err := json.Indent(&out, raw, "", "  "); err != nil {
		return string(raw)
	}
	return out.String()
}
