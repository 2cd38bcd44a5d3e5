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

// Templates holds the parsed pages of every language. It does not change after New and may be used by any number of
// requests at once.
type Templates struct {
	brand    Brand
	basePath string
	locales  *locales
	static   *static
	// pages has one parsed set per language and page, with the language already bound. Nothing is bound while a request
	// runs, so one person's language cannot reach another's page.
	pages map[string]map[string]*template.Template
}

// New parses all embedded pages and locales. It fails when the brand is not usable or BasePath is not a clean path.
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
		pages: make(map[string]map[string]*template.Template)}
	for _, l := range locales.list {
		if t.pages[l.tag.String()], err = t.parse(l); err != nil {
			return nil, fmt.Errorf("parse pages: %w", err)
		}
	}
	return t, nil
}

// parse builds the pages of one language: each page file with the shared ones, and the functions of that locale.
func (t *Templates) parse(l *locale) (map[string]*template.Template, error) {
	shared, err := template.New("").Funcs(t.functions(l)).ParseFS(pageFiles, "pages/shared/*.html")
	if err != nil {
		return nil, err
	}
	files, err := fs.Glob(pageFiles, "pages/*.html")
	if err != nil {
		return nil, err
	}
	pages := make(map[string]*template.Template, len(files))
	for _, file := range files {
		page, err := shared.Clone()
		if err != nil {
			return nil, err
		}
		if page, err = page.ParseFS(pageFiles, file); err != nil {
			return nil, err
		}
		pages[strings.TrimSuffix(path.Base(file), ".html")] = page
	}
	return pages, nil
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
	tmpl := t.pages[t.locales.get(lang).tag.String()][name]
	if tmpl == nil {
		return fmt.Errorf("render %s: no such page", name)
	}
	var buf bytes.Buffer
	if err := tmpl.ExecuteTemplate(&buf, block, data); err != nil {
		return fmt.Errorf("render %s: %w", name, err)
	}
	_, err := w.Write(buf.Bytes())
	return err
}
