package mfa

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/parola-id/parola/storage"
)

// routes says which carriers may take a message, in the order they are tried.
type routes struct {
	senders   map[string]Carrier
	byChannel map[storage.Channel][]string
	byCountry map[string][]string // of SMS, where it differs
}

func newRoutes(carriers []Carrier, byCountry map[string][]string) (routes, error) {
	r := routes{senders: map[string]Carrier{}, byChannel: map[storage.Channel][]string{}, byCountry: byCountry}
	if len(carriers) == 0 {
		return r, errors.New("configure at least one carrier, for whatsapp or sms")
	}
	for _, c := range carriers {
		_, twice := r.senders[c.Name]
		switch {
		case c.Name == "" || len(c.Name) > 32 || strings.Trim(c.Name, "abcdefghijklmnopqrstuvwxyz0123456789") != "":
			return r, fmt.Errorf("carrier %q: name it by a short lower-case word", c.Name)
		case twice:
			return r, fmt.Errorf("carrier %s is named twice", c.Name)
		case c.Channel != storage.WhatsApp && c.Channel != storage.SMS, c.Sender == nil:
			return r, fmt.Errorf("carrier %s: it has no channel or no sender", c.Name)
		}
		r.senders[c.Name] = c
		r.byChannel[c.Channel] = append(r.byChannel[c.Channel], c.Name)
	}
	for country, names := range byCountry {
		if !isCountry(country) {
			return r, fmt.Errorf("route of %q: write the country as two capital letters", country)
		}
		for i, name := range names {
			if r.senders[name].Channel != storage.SMS || slices.Contains(names[:i], name) {
				return r, fmt.Errorf("route of %s: %q is no SMS carrier that is configured, or is named twice", country, name)
			}
		}
	}
	return r, nil
}

// to returns the carriers for a channel and country; empty where there is no way.
func (r routes) to(ch storage.Channel, country string) []string {
	if names, named := r.byCountry[country]; named && ch == storage.SMS {
		return names
	}
	return r.byChannel[ch]
}
