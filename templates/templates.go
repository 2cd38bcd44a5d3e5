package templates

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"path"
	"strings"
	"sync"
)

//go:embed pages/*.html pages/shared/*.html
var pageFiles embed.FS

// Config is what one installation says about its pages.
type Config struct {
	// Brand is shown on every page unless a client overrides it. Its Name is required.
	Brand Brand
	// BasePath is the path of the issuer, such as "/auth"; empty when the issuer is the root. [Templates.Static] must be
	// mounted at BasePath + "/static/".
	BasePath string
}

// Templates holds the pages of every language. It may be used by any number of requests at once.
type Templates struct {
	brand    Brand
	basePath string
	locales  *locales
	static   *static
	// pages parses one set per language and page when somebody first sees it, with the language bound: one person's language
	// cannot reach another's page. All of them would be most of what lives in this process, and the collector goes through
	// what lives after every few logins.
	pages map[pageIn]func() (*template.Template, error)
}

// pageIn is a page file, without its ending, in a language.
type pageIn struct{ language, name string }

// New reads all embedded locales and finds the pages. It fails when the brand is not usable or BasePath is not a clean path.
func New(c Config) (*Templates, error) {
	if c.Brand.Name == "" {
		return nil, fmt.Errorf("brand: a name is needed")
	}
	if err := c.Brand.Validate(); err != nil {
		return nil, fmt.Errorf("brand: %w", err)
	}
	if c.BasePath != "" && (c.BasePath != path.Clean(c.BasePath) || c.BasePath[0] != '/' || c.BasePath == "/") {
		return nil, fmt.Errorf("base path %q: want a clean path that begins with a slash, or nothing", c.BasePath)
	}
	locales, err := loadLocales()
	if err != nil {
		return nil, fmt.Errorf("load locales: %w", err)
	}
	static, err := loadStatic()
	if err != nil {
		return nil, fmt.Errorf("load static files: %w", err)
	}
	t := &Templates{brand: c.Brand, basePath: c.BasePath, locales: locales, static: static,
		pages: make(map[pageIn]func() (*template.Template, error))}
	files, err := fs.Glob(pageFiles, "pages/*.html")
	if err != nil {
		return nil, fmt.Errorf("find pages: %w", err)
	}
	for _, l := range locales.list {
		functions := t.functions(l)
		for _, file := range files {
			name := path.Base(file)
			t.pages[pageIn{l.tag.String(), strings.TrimSuffix(name, ".html")}] = sync.OnceValues(func() (*template.Template, error) {
				return template.New(name).Funcs(functions).ParseFS(pageFiles, "pages/shared/*.html", file)
			})
		}
	}
	return t, nil
}

// functions are the verbs of the page files, bound to one locale.
func (t *Templates) functions(l *locale) template.FuncMap {
	return template.FuncMap{
		"text":    l.text,
		"rich":    l.rich,
		"in":      l.in,
		"static":  t.staticURL,
		"seconds": seconds,
		"clock":   clock,
		"timer":   timer,
	}
}

// page is what the page files see: the view, the brand in force and the page's own struct.
type page struct {
	View
	Brand    Brand
	BrandCSS string
	Lang     string
	Dir      string
	P        any
}

// render writes a whole page.
func (t *Templates) render(w io.Writer, v View, name string, p any) error {
	brand := t.brand.overriddenBy(v.Brand)
	l := t.locales.get(v.Language)
	return t.execute(w, v.Language, name, "layout",
		page{View: v, Brand: brand, BrandCSS: t.brandURL(brand), Lang: l.tag.String(), Dir: l.Dir, P: p})
}

// execute writes one block of a page file. It renders into a buffer first, so that a failure never leaves half a page
// behind.
func (t *Templates) execute(w io.Writer, lang, name, block string, data any) error {
	parse := t.pages[pageIn{t.locales.get(lang).tag.String(), name}]
	if parse == nil {
		return fmt.Errorf("render %s: no such page", name)
	}
	tmpl, err := parse()
	if err != nil {
		return fmt.Errorf("render %s: %w", name, err)
	}
	var buf bytes.Buffer
	if err := tmpl.ExecuteTemplate(&buf, block, data); err != nil {
		return fmt.Errorf("render %s: %w", name, err)
	}
	_, err = w.Write(buf.Bytes())
	return err
}
