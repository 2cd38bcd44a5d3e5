package rates

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/parola-id/parola/storage"
)

// jsonCard is the JSON form of a card.
type jsonCard struct {
	Carrier   string     `json:"carrier"`
	ValidFrom string     `json:"valid_from"`
	Currency  string     `json:"currency"`
	Prices    jsonPrices `json:"prices"`
}

// jsonPrices is an object of prices by country. It is read by hand, because a map would quietly keep the last of two
// prices for a country.
type jsonPrices []struct {
	country string
	price   storage.Money
}

// UnmarshalJSON implements json.Unmarshaler. A price is a string or a number with at most four decimals; a number is read
// as it is written, never through a float.
func (p *jsonPrices) UnmarshalJSON(text []byte) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return fmt.Errorf("prices must be an object such as {%q: %q}", everywhere, "0.07")
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return err
		}
		country, _ := key.(string) // the decoder lets nothing else through
		value, err := d.Token()
		if err != nil {
			return err
		}
		price, err := storage.ParseMoney(fmt.Sprint(value))
		if err != nil {
			return fmt.Errorf("price of %q: %w", country, err)
		}
		*p = append(*p, struct {
			country string
			price   storage.Money
		}{country, price})
	}
	return nil
}
