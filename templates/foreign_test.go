package templates

import (
	"net/url"
	"slices"
	"testing"

	"golang.org/x/net/html"
)

// loads are the attributes by which a page makes a browser fetch something without being asked.
var loads = []string{"src", "srcset", "data", "poster", "background"}

func TestWEB07_PagesLoadNothingFromElsewhereAndTheLoginLinksNowhere(t *testing.T) {
	ours := func(address string) bool {
		u, err := url.Parse(address)
		return err == nil && u.Host == "" && (u.Scheme == "" || u.Scheme == "data")
	}
	everyPage(t, func(t *testing.T, s sample, page string) {
		doc := parse(t, page)
		for _, n := range elements(doc) {
			for _, a := range n.Attr {
				if (slices.Contains(loads, a.Key) || n.Data == "link" && a.Key == "href") && !ours(a.Val) {
					t.Errorf("<%s> loads %s", n.Data, a.Val)
				}
			}
		}
		switch s.page.(type) {
		case Interstitial, SignedOut, FormPost:
			return // these end at the client: their one way out is its validated address
		}
		for _, n := range append(elements(doc, "a", "area"), refreshes(doc)...) {
			if address := value(n, "href") + value(n, "content"); !ours(address) {
				t.Errorf("<%s> leads to %s", n.Data, address)
			}
		}
	})
}

// refreshes are the elements that send a browser on by themselves.
func refreshes(doc *html.Node) []*html.Node {
	var found []*html.Node
	for _, n := range elements(doc, "meta") {
		if value(n, "http-equiv") == "refresh" {
			found = append(found, n)
		}
	}
	return found
}
