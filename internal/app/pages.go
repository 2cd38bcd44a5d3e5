package app

import (
	"fmt"
	"net/url"

	"github.com/parola-id/parola/templates"
)

// pages reads the pages and texts of the installation. The command line needs them too: for the languages that they speak, and
// for the carriers that write in them.
func (b *Base) pages() (*templates.Templates, *url.URL, error) {
	issuer, err := url.Parse(b.config.Issuer)
	if err != nil {
		return nil, nil, fmt.Errorf("issuer: %w", err)
	}
	c := b.config
	pages, err := templates.New(templates.Config{BasePath: issuer.Path,
		Brand: templates.Brand{Name: c.ServiceName, Logo: c.Brand.Logo, Colour: c.Brand.Colour}})
	if err != nil {
		return nil, nil, fmt.Errorf("brand: %w", err)
	}
	return pages, issuer, nil
}
