package templates

import (
	"encoding/base64"
	"errors"
	"fmt"
	"html/template"
	"math"
	"regexp"
	"strconv"
	"strings"
)

// Brand is the name, logo and colour of an installation or of one client. Empty fields fall back: a client's to the
// installation's, the installation's to Parola's.
type Brand struct {
	// Name is the service people sign in to.
	Name string
	// Logo is a data: URL of a PNG, JPEG or WebP image (at most 64 KiB), or an absolute path on this origin. SVG is
	// refused, and so are other origins (WEB-07, WEB-09).
	Logo string
	// Colour is "#rrggbb". It is darkened or lightened where contrast needs it.
	Colour string
}

const maxLogo = 64 << 10

var (
	colourPattern  = regexp.MustCompile(`^#[0-9a-fA-F]{6}$`)
	logoPath       = regexp.MustCompile(`^/[A-Za-z0-9._~-]+(?:/[A-Za-z0-9._~-]+)*$`)
	logoDataPrefix = regexp.MustCompile(`^data:image/(?:png|jpeg|webp);base64,`)
)

// Validate says why a brand cannot be used, in words for the person who configured it.
func (b Brand) Validate() error {
	if len(b.Name) > 80 {
		return errors.New("name is longer than 80 bytes")
	}
	if b.Colour != "" && !colourPattern.MatchString(b.Colour) {
		return fmt.Errorf("colour %q: want #rrggbb", b.Colour)
	}
	if b.Logo != "" && logoURL(b.Logo) == "" {
		return errors.New("logo: want a base64 data: URL of a PNG, JPEG or WebP image up to 64 KiB, or a path on this origin")
	}
	return nil
}

// LogoURL is the logo when it may be shown, otherwise empty.
func (b Brand) LogoURL() template.URL { return logoURL(b.Logo) }

func logoURL(s string) template.URL {
	prefix := logoDataPrefix.FindString(s)
	switch {
	case len(s) > maxLogo*4/3+64:
		return ""
	case prefix != "":
		if _, err := base64.StdEncoding.DecodeString(s[len(prefix):]); err != nil {
			return ""
		}
		return template.URL(s)
	case logoPath.MatchString(s):
		return template.URL(s)
	}
	return ""
}

func (b Brand) overriddenBy(client Brand) Brand {
	if client.Validate() != nil {
		return b
	}
	if client.Name != "" {
		b.Name = client.Name
	}
	if client.Logo != "" {
		b.Logo = client.Logo
	}
	if client.Colour != "" {
		b.Colour = client.Colour
	}
	return b
}

// rgb is a colour with channels from 0 to 1.
type rgb [3]float64

// The surfaces the brand colour is seen on; static/style.css has the same values as --card.
var (
	cardLight = rgb{1, 1, 1}
	cardDark  = rgb{0x1b / 255.0, 0x1f / 255.0, 0x24 / 255.0}
)

// brandCSS turns a colour into the custom properties of the stylesheet. Buttons keep 3:1 against the card and links
// 4.5:1 (WCAG 2.2, 1.4.11 and 1.4.3), in both colour schemes, however unhappy the choice.
func brandCSS(hex string) (string, error) {
	if !colourPattern.MatchString("#" + hex) {
		return "", fmt.Errorf("colour %q: want rrggbb", hex)
	}
	n, err := strconv.ParseUint(hex, 16, 32)
	if err != nil {
		return "", err
	}
	c := rgb{float64(n>>16&255) / 255, float64(n>>8&255) / 255, float64(n&255) / 255}
	scheme := func(card, towards rgb) string {
		fill, text := readable(c, card, towards, 3), readable(c, card, towards, 4.5)
		on := rgb{1, 1, 1}
		if contrast(fill, on) < 4.5 {
			on = rgb{}
		}
		return fmt.Sprintf(":root{--brand:%s;--on-brand:%s;--link:%s}", fill, on, text)
	}
	return scheme(cardLight, rgb{}) +
		"@media (prefers-color-scheme:dark){" + scheme(cardDark, rgb{1, 1, 1}) + "}\n", nil
}

// readable moves c towards black or white until its contrast with the surface is at least ratio.
func readable(c, surface, towards rgb, ratio float64) rgb {
	mixed := c
	for step := 0.0; step < 1 && contrast(mixed, surface) < ratio; step += 0.02 {
		for i := range mixed {
			// Rounded to what the hexadecimal form can say, so that the check is of the colour that is shown.
			mixed[i] = math.Round((c[i]+(towards[i]-c[i])*step)*255) / 255
		}
	}
	return mixed
}

// contrast is the contrast ratio of WCAG 2.2, from 1 to 21.
func contrast(a, b rgb) float64 {
	la, lb := a.luminance(), b.luminance()
	return (max(la, lb) + 0.05) / (min(la, lb) + 0.05)
}

// luminance is the relative luminance of WCAG 2.2.
func (c rgb) luminance() float64 {
	var l [3]float64
	for i, v := range c {
		if v <= 0.04045 {
			l[i] = v / 12.92
		} else {
			l[i] = math.Pow((v+0.055)/1.055, 2.4)
		}
	}
	return 0.2126*l[0] + 0.7152*l[1] + 0.0722*l[2]
}

func (c rgb) String() string {
	return fmt.Sprintf("#%02x%02x%02x", int(math.Round(c[0]*255)), int(math.Round(c[1]*255)), int(math.Round(c[2]*255)))
}

// brandURL is the address of the brand's stylesheet, or nothing for Parola's own colour. The policy allows no inline
// style, so the colour travels in a file name.
func (t *Templates) brandURL(b Brand) string {
	if b.Colour == "" {
		return ""
	}
	return t.basePath + "/static/brand." + strings.ToLower(strings.TrimPrefix(b.Colour, "#")) + ".css"
}
