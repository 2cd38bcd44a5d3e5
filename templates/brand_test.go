package templates

import (
	"fmt"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
)

const onePixel = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="

func TestBrandValidate(t *testing.T) {
	for _, c := range []struct {
		name  string
		brand Brand
		ok    bool
	}{
		{"nothing set", Brand{}, true},
		{"all set", Brand{Name: "Acme", Logo: onePixel, Colour: "#1F6F5C"}, true},
		{"a logo on this origin", Brand{Logo: "/assets/logo.png"}, true},
		{"a colour by name", Brand{Colour: "red"}, false},
		{"a short colour", Brand{Colour: "#fff"}, false},
		{"a colour that ends the rule", Brand{Colour: "#fffff}"}, false},
		{"a colour with a line behind", Brand{Colour: "#ffffff\n"}, false},
		{"a logo elsewhere", Brand{Logo: "https://cdn.example/logo.png"}, false},
		{"a logo elsewhere without a scheme", Brand{Logo: "//cdn.example/logo.png"}, false},
		{"an SVG logo", Brand{Logo: "data:image/svg+xml;base64,PHN2Zy8+"}, false},
		{"a script for a logo", Brand{Logo: "javascript:alert(1)"}, false},
		{"a logo that is not base64", Brand{Logo: "data:image/png;base64,%%%"}, false},
		{"an oversized logo", Brand{Logo: "data:image/png;base64," + strings.Repeat("AAAA", maxLogo)}, false},
		{"an oversized name", Brand{Name: strings.Repeat("A", 81)}, false},
	} {
		if err := c.brand.Validate(); (err == nil) != c.ok {
			t.Errorf("%s: %v, want ok %v", c.name, err, c.ok)
		}
	}
}

func TestClientsOverrideTheBrandFieldByField(t *testing.T) {
	tmpl, err := New(Config{Brand: Brand{Name: "Acme", Colour: "#112233"}, BasePath: "/auth"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, wantName, wantCSS, wantLogo string
		override                          Brand
	}{
		{"nothing", "Acme", "/auth/static/brand.112233.css", "", Brand{}},
		{"a colour", "Acme", "/auth/static/brand.aabbcc.css", "", Brand{Colour: "#AABBCC"}},
		{"name and logo", "Bottega", "/auth/static/brand.112233.css", onePixel, Brand{Name: "Bottega", Logo: onePixel}},
		{"something unusable", "Acme", "/auth/static/brand.112233.css", "", Brand{Name: "Bottega", Logo: "//evil.example/x.png"}},
	} {
		page := render(t, tmpl, sample{page: Home{}, view: View{Brand: c.override}}, "en")
		doc := parse(t, page)
		if title := textOf(elements(doc, "title")[0]); !strings.HasSuffix(title, " · "+c.wantName) {
			t.Errorf("%s: title %q", c.name, title)
		}
		if !strings.Contains(page, `href="`+c.wantCSS+`"`) {
			t.Errorf("%s: no stylesheet %s", c.name, c.wantCSS)
		}
		if logo := value(elements(doc, "img")[0], "src"); c.wantLogo != "" && logo != c.wantLogo || strings.Contains(logo, "evil") {
			t.Errorf("%s: logo %q", c.name, logo)
		}
	}
}

func parseColour(t *testing.T, s string) rgb {
	t.Helper()
	var r, g, b int
	if _, err := fmt.Sscanf(s, "#%02x%02x%02x", &r, &g, &b); err != nil {
		t.Fatalf("colour %q: %v", s, err)
	}
	return rgb{float64(r) / 255, float64(g) / 255, float64(b) / 255}
}

func TestEveryBrandColourIsReadable(t *testing.T) {
	rule := regexp.MustCompile(`--brand:(#\w+);--on-brand:(#\w+);--link:(#\w+)`)
	for r := 0; r <= 255; r += 51 {
		for g := 0; g <= 255; g += 51 {
			for b := 0; b <= 255; b += 51 {
				hex := fmt.Sprintf("%02x%02x%02x", r, g, b)
				css, err := brandCSS(hex)
				if err != nil {
					t.Fatal(err)
				}
				schemes := rule.FindAllStringSubmatch(css, -1)
				if len(schemes) != 2 {
					t.Fatalf("%s: %d colour schemes in %q", hex, len(schemes), css)
				}
				for i, card := range []rgb{cardLight, cardDark} {
					fill, on, link := parseColour(t, schemes[i][1]), parseColour(t, schemes[i][2]), parseColour(t, schemes[i][3])
					if c := contrast(fill, on); c < 4.5 {
						t.Errorf("%s: text on a button has contrast %.2f", hex, c)
					}
					if c := contrast(fill, card); c < 3 {
						t.Errorf("%s: a button has contrast %.2f to the card", hex, c)
					}
					if c := contrast(link, card); c < 4.5 {
						t.Errorf("%s: a link has contrast %.2f", hex, c)
					}
				}
			}
		}
	}
}

func TestContrastIsThatOfWCAG(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want string
	}{{"#000000", "#ffffff", "21.00"}, {"#ffffff", "#ffffff", "1.00"}, {"#777777", "#ffffff", "4.48"}, {"#0000ff", "#ffffff", "8.59"}} {
		if got := fmt.Sprintf("%.2f", contrast(parseColour(t, c.a), parseColour(t, c.b))); got != c.want {
			t.Errorf("%s on %s: %s, want %s", c.a, c.b, got, c.want)
		}
	}
}

// The pairs of the stylesheet that carry text or the edge of a control, in both colour schemes.
func TestTheStylesheetIsReadable(t *testing.T) {
	css, err := os.ReadFile("static/style.css")
	if err != nil {
		t.Fatal(err)
	}
	const limit = 8 << 10
	if len(css) > limit {
		t.Errorf("stylesheet is %d bytes, want at most %d", len(css), limit)
	}
	light, rest, _ := strings.Cut(string(css), "prefers-color-scheme: dark")
	dark, _, _ := strings.Cut(rest, "::before")
	for name, scheme := range map[string]string{"light": light, "dark": dark} {
		colours := map[string]rgb{}
		for _, m := range regexp.MustCompile(`--([a-z-]+): (#[0-9a-f]+);`).FindAllStringSubmatch(scheme, -1) {
			if len(m[2]) == 4 {
				m[2] = fmt.Sprintf("#%[1]c%[1]c%[2]c%[2]c%[3]c%[3]c", m[2][1], m[2][2], m[2][3])
			}
			colours[m[1]] = parseColour(t, m[2])
		}
		for _, c := range []struct {
			front, back string
			want        float64
		}{
			{"ink", "card", 7}, {"soft", "card", 4.5}, {"soft", "page", 4.5}, {"link", "card", 4.5}, {"on-brand", "brand", 4.5},
			{"ink", "calm", 7}, {"ink", "good-tint", 7}, {"ink", "warn-tint", 7}, {"bad", "bad-tint", 4.5},
			{"soft", "calm", 4.5}, {"soft", "good-tint", 4.5}, {"soft", "warn-tint", 4.5},
			{"edge", "card", 3}, {"edge", "calm", 3}, {"good", "good-tint", 3}, {"link", "calm", 3},
		} {
			front, ok1 := colours[c.front]
			back, ok2 := colours[c.back]
			if !ok1 || !ok2 {
				t.Fatalf("%s: no colour %s or %s", name, c.front, c.back)
			}
			if got := contrast(front, back); got < c.want {
				t.Errorf("%s: %s on %s has contrast %.2f, want %.1f", name, c.front, c.back, got, c.want)
			}
		}
		if want := map[string]rgb{"light": cardLight, "dark": cardDark}[name]; colours["card"] != want {
			t.Errorf("%s: the card is %v in the stylesheet and %v in brand.go", name, colours["card"], want)
		}
	}
}

func TestStatic(t *testing.T) {
	tmpl, err := New(Config{Brand: Brand{Name: "Acme"}, BasePath: "/auth"})
	if err != nil {
		t.Fatal(err)
	}
	style, err := tmpl.staticURL("style.css")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, method, path string
		status             int
		contentType        string
	}{
		{"the stylesheet", "GET", style, 200, "text/css; charset=utf-8"},
		{"only its head", "HEAD", style, 200, "text/css; charset=utf-8"},
		{"a brand's colour", "GET", "/auth/static/brand.1f6f5c.css", 200, "text/css; charset=utf-8"},
		{"a name without its hash", "GET", "/auth/static/style.css", 404, ""},
		{"a colour that is none", "GET", "/auth/static/brand.zzzzzz.css", 404, ""},
		{"a colour that ends the rule", "GET", "/auth/static/brand.fff}*{.css", 404, ""},
		{"a colour of another kind", "GET", "/auth/static/brand.1f6f5c", 404, ""},
		{"a file above", "GET", "/auth/static/../go.mod", 404, ""},
		{"another base path", "GET", "/static/brand.1f6f5c.css", 404, ""},
		{"a post", "POST", style, 405, ""},
	} {
		rec := httptest.NewRecorder()
		tmpl.Static().ServeHTTP(rec, httptest.NewRequest(c.method, c.path, nil))
		if rec.Code != c.status {
			t.Errorf("%s: status %d, want %d", c.name, rec.Code, c.status)
		}
		if c.status != 200 {
			continue
		}
		if got := rec.Header().Get("Content-Type"); got != c.contentType {
			t.Errorf("%s: type %q, want %q", c.name, got, c.contentType)
		}
		if cc := rec.Header().Get("Cache-Control"); cc != "public, max-age=31536000, immutable" {
			t.Errorf("%s: Cache-Control %q", c.name, cc)
		}
	}
}

func FuzzBrandCSS(f *testing.F) {
	f.Add("1f6f5c")
	f.Add("fff}*{")
	f.Fuzz(func(t *testing.T, hex string) {
		css, err := brandCSS(hex)
		if err == nil && strings.Count(css, "{") != 3 {
			t.Errorf("%q gives %q", hex, css)
		}
	})
}
