package rates

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/parola-id/parola/storage"
)

const header = "carrier,country,price,currency,valid_from\n"

func TestParse(t *testing.T) {
	want := []storage.RateCard{
		{Carrier: "twilio", ValidFrom: "2026-11-01", Currency: "EUR", Prices: map[string]storage.Money{"*": 1200, "IT": 700}},
		{Carrier: "meta", ValidFrom: "2026-11-01", Currency: "EUR", Prices: map[string]storage.Money{"*": 92}},
	}
	cases := map[string]string{
		"CSV": "# prices of our contract\n" + header + "twilio,*,0.12,EUR,2026-11-01\nmeta,*,0.0092,EUR,2026-11-01\ntwilio, IT ,0.07,EUR,2026-11-01\n",
		"CSV with the line ends of a spreadsheet": strings.ReplaceAll(
			header+"twilio,*,\"0.12\",EUR,2026-11-01\nmeta,*,0.0092,EUR,2026-11-01\ntwilio,IT,.07,EUR,2026-11-01\n", ".07", "0.07"),
		"JSON": ` [{"carrier":"twilio","valid_from":"2026-11-01","currency":"EUR","prices":{"*":"0.12","IT":0.07}},
			{"carrier":"meta","valid_from":"2026-11-01","currency":"EUR","prices":{"*":"0.0092"}}]`,
	}
	for name, text := range cases {
		t.Run(name, func(t *testing.T) {
			for _, text := range []string{text, strings.ReplaceAll(text, "\n", "\r\n")} {
				if got, err := Parse([]byte(text)); err != nil || !reflect.DeepEqual(got, want) {
					t.Errorf("got %v, %v", got, err)
				}
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	cases := []struct{ name, text, says string }{
		{"an empty file", "", "the first line must be carrier,country"},
		{"a header and nothing else", header, "not a single price"},
		{"another header", "carrier,country,cost,currency,valid_from\n", "line 1: the header must be"},
		{"a file of something else", "# prices\nfoo\n", "line 2: the header must be"},
		{"a row that is too short", header + "meta,*,0.07,EUR,2026-11-01\nmeta,IT,0.05\n", "line 3"},
		{"no row for every other country", header + "meta,IT,0.05,EUR,2026-11-01\n", "meta from 2026-11-01 lacks the country *"},
		{"a country that is none", header + "meta,*,1,EUR,2026-11-01\nmeta,ZZ,0.05,EUR,2026-11-01\n", `line 3: "ZZ" is no country`},
		{"a country in small letters", header + "meta,it,0.05,EUR,2026-11-01\n", `line 2: "it" is no country`},
		{"a country by an old name", header + "meta,UK,0.05,EUR,2026-11-01\n", `"UK" is no country`},
		{"a region", header + "meta,001,0.05,EUR,2026-11-01\n", `"001" is no country`},
		{"two prices for a country", header + "meta,*,1,EUR,2026-11-01\n# a comment\nmeta,*,2,EUR,2026-11-01\n", "line 4: meta from 2026-11-01 has two prices for *"},
		{"two currencies on a card", header + "meta,*,1,EUR,2026-11-01\nmeta,IT,1,USD,2026-11-01\n", "one card has one currency"},
		{"a price of zero", header + "meta,*,0,EUR,2026-11-01\n", "a price of 0.00 is refused"},
		{"a negative price", header + "meta,*,-1,EUR,2026-11-01\n", "not an amount"},
		{"a price with a comma", header + "meta,*,\"0,07\",EUR,2026-11-01\n", "not an amount"},
		{"more decimals than are kept", header + "meta,*,0.00001,EUR,2026-11-01\n", "at most four decimals"},
		{"a price beyond all sense", header + "meta,*,1000000.0001,EUR,2026-11-01\n", "is refused"},
		{"a currency in small letters", header + "meta,*,1,eur,2026-11-01\n", `"eur" is no currency`},
		{"a day in another order", header + "meta,*,1,EUR,25.11.2026\n", `"25.11.2026" is no first day`},
		{"a day that does not exist", header + "meta,*,1,EUR,2026-02-30\n", "no first day"},
		{"a carrier with a space", header + "my carrier,*,1,EUR,2026-11-01\n", "no carrier"},
		{"an unknown key in JSON", `[{"carrier":"meta","price":1}]`, "unknown field"},
		{"JSON after the array", `[] {}`, "more after the array"},
		{"an empty array", `[]`, "not a single price"},
		{"a JSON card without prices", `[{"carrier":"meta","valid_from":"2026-11-01","currency":"EUR"}]`, "card 1: it has no prices"},
		{"two prices for a country in JSON", `[{"carrier":"meta","valid_from":"2026-11-01","currency":"EUR","prices":{"*":"1","*":"2"}}]`, "two prices for *"},
		{"one card twice in JSON", `[{"carrier":"m","valid_from":"2026-11-01","currency":"EUR","prices":{"*":"1"}},
			{"carrier":"m","valid_from":"2026-11-01","currency":"EUR","prices":{"IT":"1"}}]`, "card 2: m from 2026-11-01 is there twice"},
		{"a JSON number with an exponent", `[{"carrier":"m","valid_from":"2026-11-01","currency":"EUR","prices":{"*":1e-2}}]`, "not an amount"},
		{"a file without end", strings.Repeat("#", maxSize+1), "at most"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, err := Parse([]byte(c.text))
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, error %v: want one that says %q", got, err, c.says)
			}
		})
	}
}

// FuzzParse: whatever an operator feeds in, cards are refused or whole, and read the same when written as JSON.
func FuzzParse(f *testing.F) {
	f.Add(defaultCSV)
	f.Add([]byte(header + "meta,*,0.07,EUR,2026-11-01\n"))
	f.Add([]byte(`[{"carrier":"meta","valid_from":"2026-11-01","currency":"EUR","prices":{"*":"0.0092","IT":1}}]`))
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := Parse(text)
		if err != nil {
			return
		}
		var list []map[string]any
		for _, c := range got {
			if c.Prices[everywhere] <= 0 {
				t.Errorf("%s has no price for other countries", c.Carrier)
			}
			list = append(list, map[string]any{
				"carrier": c.Carrier, "valid_from": c.ValidFrom, "currency": c.Currency, "prices": c.Prices,
			})
		}
		written, err := json.Marshal(list)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Parse(written)
		if err != nil || !slices.EqualFunc(again, got, func(a, b storage.RateCard) bool { return reflect.DeepEqual(a, b) }) {
			t.Errorf("%s: got %v, %v", written, again, err)
		}
	})
}
