package rates

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"golang.org/x/text/language"

	"github.com/parola-id/parola/storage"
)

const (
	// everywhere is the row for countries that are not named; each card has one.
	everywhere = "*"
	// maxSize bounds a file of cards, maxPrice one price, so that sums stay far from overflow.
	maxSize  = 4 << 20
	maxPrice = 1_000_000 * storage.MoneyUnit
	day      = time.DateOnly
)

// columns are the header line of the CSV form.
var columns = []string{"carrier", "country", "price", "currency", "valid_from"}

// Parse reads rate cards, in the CSV form with the header carrier,country,price,currency,valid_from (lines that begin
// with # are comments), or as a JSON array of objects with carrier, valid_from, currency and prices by country. Errors
// name the line, or the place in the array, and what to write there.
func Parse(text []byte) ([]storage.RateCard, error) {
	if len(text) > maxSize {
		return nil, fmt.Errorf("rate cards are %d bytes long: at most %d are read", len(text), maxSize)
	}
	set := newCards()
	read := set.readCSV
	if trimmed := bytes.TrimLeft(text, " \t\r\n"); len(trimmed) > 0 && trimmed[0] == '[' {
		read = set.readJSON
	}
	if err := read(text); err != nil {
		return nil, err
	}
	return set.whole()
}

// cards collects rows.
type cards struct {
	list []storage.RateCard
	// at finds a card in list by carrier and first day.
	at map[[2]string]int
}

func newCards() *cards { return &cards{at: make(map[[2]string]int)} }

func (c *cards) readCSV(text []byte) error {
	r := csv.NewReader(bytes.NewReader(text))
	r.Comment, r.FieldsPerRecord, r.TrimLeadingSpace = '#', len(columns), true
	header, err := r.Read()
	if err == io.EOF {
		return fmt.Errorf("no rate cards: the first line must be %s", strings.Join(columns, ","))
	}
	if errors.Is(err, csv.ErrFieldCount) {
		line, _ := r.FieldPos(0)
		return fmt.Errorf("line %d: the header must be %s", line, strings.Join(columns, ","))
	}
	if err != nil {
		return fmt.Errorf("read rate cards: %w", err)
	}
	for i, want := range columns {
		if strings.TrimSpace(header[i]) != want {
			line, _ := r.FieldPos(i)
			return fmt.Errorf("line %d: the header must be %s", line, strings.Join(columns, ","))
		}
	}
	for {
		row, err := r.Read()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read rate cards: %w", err) // it names the line
		}
		for i := range row {
			row[i] = strings.TrimSpace(row[i])
		}
		line, _ := r.FieldPos(0)
		price, err := storage.ParseMoney(row[2])
		if err == nil {
			err = c.add(row[0], row[4], row[3], row[1], price)
		}
		if err != nil {
			return fmt.Errorf("line %d: %w", line, err)
		}
	}
}

func (c *cards) readJSON(text []byte) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	var list []jsonCard
	if err := d.Decode(&list); err != nil {
		return fmt.Errorf("read rate cards: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("read rate cards: there is more after the array")
	}
	for i, card := range list {
		if _, twice := c.at[[2]string{card.Carrier, card.ValidFrom}]; twice {
			return fmt.Errorf("card %d: %s from %s is there twice", i+1, card.Carrier, card.ValidFrom)
		}
		if len(card.Prices) == 0 {
			return fmt.Errorf("card %d: it has no prices", i+1)
		}
		for _, row := range card.Prices {
			if err := c.add(card.Carrier, card.ValidFrom, card.Currency, row.country, row.price); err != nil {
				return fmt.Errorf("card %d: %w", i+1, err)
			}
		}
	}
	return nil
}

// add checks one price and puts it on its card.
func (c *cards) add(carrier, validFrom, currency, country string, price storage.Money) error {
	if err := check(carrier, validFrom, currency, country, price); err != nil {
		return err
	}
	key := [2]string{carrier, validFrom}
	i, known := c.at[key]
	if !known {
		i = len(c.list)
		c.at[key] = i
		c.list = append(c.list, storage.RateCard{
			Carrier: carrier, ValidFrom: validFrom, Currency: currency, Prices: make(map[string]storage.Money),
		})
	}
	card := c.list[i]
	if card.Currency != currency {
		return fmt.Errorf("the card of %s from %s is in %s and in %s: one card has one currency", carrier, validFrom, card.Currency, currency)
	}
	if _, twice := card.Prices[country]; twice {
		return fmt.Errorf("%s from %s has two prices for %s", carrier, validFrom, country)
	}
	card.Prices[country] = price
	return nil
}

func check(carrier, validFrom, currency, country string, price storage.Money) error {
	switch date, err := time.Parse(day, validFrom); {
	case carrier == "" || len(carrier) > 20 || strings.Trim(carrier, "abcdefghijklmnopqrstuvwxyz0123456789_") != "":
		return fmt.Errorf("%q is no carrier: write a name such as meta, twilio or sms", carrier)
	case err != nil || date.Year() < 2000 || date.Year() > 2999:
		return fmt.Errorf("%q is no first day: write it like 2026-11-25", validFrom)
	case len(currency) != 3 || strings.Trim(currency, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "":
		return fmt.Errorf("%q is no currency: write three capital letters such as EUR", currency)
	case country != everywhere && !isCountry(country):
		return fmt.Errorf("%q is no country: write an ISO 3166-1 code such as IT, or * for all that are not named", country)
	case price <= 0 || price > maxPrice:
		return fmt.Errorf("a price of %s is refused: budgets are counted in it, write one above 0 and at most %s", price, maxPrice)
	default:
		return nil
	}
}

// isCountry says whether code is a country or territory in its present spelling: UK is GB.
func isCountry(code string) bool {
	region, err := language.ParseRegion(code)
	return err == nil && len(code) == 2 && region.String() == code && region.IsCountry() && region.Canonicalize() == region
}

// whole refuses cards that leave a country without a price.
func (c *cards) whole() ([]storage.RateCard, error) {
	if len(c.list) == 0 {
		return nil, errors.New("no rate cards: there is not a single price")
	}
	for _, card := range c.list {
		if _, ok := card.Prices[everywhere]; !ok {
			return nil, fmt.Errorf("the card of %s from %s lacks the country *: it is the price of all that are not named", card.Carrier, card.ValidFrom)
		}
	}
	return c.list, nil
}
