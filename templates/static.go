package templates

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strings"
)

//go:embed static/*
var staticFiles embed.FS

// static holds the embedded files under names that carry a hash of their content, so that they can be cached for ever.
type static struct {
	hashed map[string]string // "style.css" to "style.0123456789ab.css"
	files  map[string][]byte // by hashed name
}

func loadStatic() (*static, error) {
	s := &static{hashed: map[string]string{}, files: map[string][]byte{}}
	entries, err := fs.ReadDir(staticFiles, "static")
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		content, err := staticFiles.ReadFile("static/" + e.Name())
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(content)
		ext := path.Ext(e.Name())
		name := strings.TrimSuffix(e.Name(), ext) + "." + hex.EncodeToString(sum[:6]) + ext
		s.hashed[e.Name()], s.files[name] = name, content
	}
	return s, nil
}

func (t *Templates) staticURL(name string) (string, error) {
	hashed, ok := t.static.hashed[name]
	if !ok {
		return "", fmt.Errorf("static file %q: no such file", name)
	}
	return t.basePath + "/static/" + hashed, nil
}

var contentTypes = map[string]string{
	".css": "text/css; charset=utf-8",
	".js":  "text/javascript; charset=utf-8",
	".svg": "image/svg+xml",
}

// Static serves the stylesheet, the scripts and the mark, to be mounted at BasePath + "/static/". Names carry a hash of
// the content, so answers may be kept for a year. A brand's colour is served as brand.rrggbb.css, computed from the
// name alone: it holds no state and nothing of anyone's choosing but six hexadecimal digits.
func (t *Templates) Static() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
			return
		}
		name, ok := strings.CutPrefix(r.URL.Path, t.basePath+"/static/")
		content, found := t.static.files[name]
		if colour, isBrand := strings.CutPrefix(name, "brand."); ok && isBrand {
			css, err := brandCSS(strings.TrimSuffix(colour, ".css"))
			content, found = []byte(css), err == nil && strings.HasSuffix(colour, ".css")
		}
		if !ok || !found {
			http.NotFound(w, r)
			return
		}
		h := w.Header()
		h.Set("Content-Type", contentTypes[path.Ext(name)])
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
		h.Set("X-Content-Type-Options", "nosniff")
		w.Write(content) // a failed write is the browser's own leaving
	})
}
