package ledger

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"strings"
	"testing"

	"github.com/parola-id/parola/storage"
	"github.com/parola-id/parola/storage/storagetest"
)

// kept are rows as they were added up.
func kept() []storage.DeliveryDay {
	row := func(day, country string, ch storage.Channel, carrier, language string, sent int) storage.DeliveryDay {
		return storage.DeliveryDay{
			Day: day, Country: country, Channel: ch, Carrier: carrier, Language: language,
			Sent: sent, Delivered: sent - 1, Read: sent - 2, Failed: 1, Verified: sent / 2, Spent: storage.Money(sent) * 500,
			Saved: storage.Money(sent) * 100, ToDelivered: map[int]int{Bucket(3e9): sent - 1}, ToVerified: map[int]int{Bucket(20e9): sent / 2},
		}
	}
	whatsApp := row("2026-11-24", "IT", storage.WhatsApp, "meta", "it", 10)
	whatsApp.FellBack = map[string]int{"not_delivered": 2, "refused": 1}
	dear := row("2026-11-25", "=HYPERLINK", storage.SMS, "twilio", "en", 4)
	dear.Saved = -1234
	return []storage.DeliveryDay{whatsApp, row("2026-11-25", "IT", storage.WhatsApp, "meta", "en", 20), dear}
}

func storeOf(t *testing.T, days []storage.DeliveryDay) storage.Store {
	t.Helper()
	store := storagetest.New(t)
	if err := store.InTx(context.Background(), func(ctx context.Context) error { return store.AddDeliveryDays(ctx, days...) }); err != nil {
		t.Fatal(err)
	}
	return store
}

func read(t *testing.T, q Query) Report {
	t.Helper()
	q.Currency = "EUR"
	r, err := Read(context.Background(), storeOf(t, kept()), q)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestReportTable(t *testing.T) {
	var out bytes.Buffer
	// The columns have their order, however they are asked for.
	if err := read(t, Query{GroupBy: []string{"channel", "day"}}).WriteTable(&out); err != nil {
		t.Fatal(err)
	}
	want := `
DAY         CHANNEL   SENT  DELIVERED  READ       FAILED  VERIFIED   TO DELIVERED p50/p95  TO VERIFIED p50/p95  SPENT EUR  SAVED EUR  FELL BACK
2026-11-24  whatsapp  10    9 (90 %)   8 (80 %)   1       5 (50 %)   3.0 s / 3.1 s         19.7 s / 20.4 s      0.50       0.10       3 (not_delivered 2, refused 1)
2026-11-25  sms       4     3 (75 %)   2 (50 %)   1       2 (50 %)   3.0 s / 3.1 s         19.7 s / 20.4 s      0.20       -0.1234    -
2026-11-25  whatsapp  20    19 (95 %)  18 (90 %)  1       10 (50 %)  3.0 s / 3.1 s         19.7 s / 20.4 s      1.00       0.20       -
total                 34    31 (91 %)  28 (82 %)  3       17 (50 %)  3.0 s / 3.1 s         19.7 s / 20.4 s      1.70       0.1766     3 (not_delivered 2, refused 1)
`
	if got := "\n" + out.String(); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

func TestReportCSVHoldsNoFormula(t *testing.T) {
	var out bytes.Buffer
	if err := read(t, Query{GroupBy: []string{"country"}}).WriteCSV(&out); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(&out).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, row := range rows {
		got = append(got, strings.Join(row, "|"))
	}
	want := []string{
		"country|sent|delivered|read|failed|verified|conversion|fell_back|fell_back_why|to_delivered_p50|to_delivered_p95|to_verified_p50|to_verified_p95|spent_eur|saved_eur",
		"'=HYPERLINK|4|3|2|1|2|0.5000|0||3.026|3.129|19.698|20.374|0.20|-0.1234",
		"IT|30|28|26|2|15|0.5000|3|not_delivered 2, refused 1|3.026|3.129|19.698|20.374|1.50|0.30",
	}
	for i := range want {
		if i >= len(got) || got[i] != want[i] {
			t.Errorf("got %s\nwant %s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			break
		}
	}
}

func TestNeutral(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "IT": "IT", "=1+1": "'=1+1", "+1": "'+1", "-1": "'-1", "@x": "'@x", "\t=1": "'\t=1", "a=b": "a=b", "’": "’",
	} {
		if got := neutral(text); got != want {
			t.Errorf("%q became %q", text, got)
		}
	}
}

func TestReportJSON(t *testing.T) {
	var out bytes.Buffer
	if err := read(t, Query{Filter: storage.DayFilter{Since: "2026-11-25", Channel: storage.WhatsApp}}).WriteJSON(&out); err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	total := got["total"].(map[string]any)
	if got["since"] != "2026-11-25" || got["currency"] != "EUR" || total["sent"] != 20.0 || total["spent"] != "1.00" || total["conversion"] != 0.5 {
		t.Errorf("got %s", out.String())
	}
	if times, ok := total["to_delivered"].(map[string]any); !ok || times["p50"] != 3.026 {
		t.Errorf("got %s", out.String())
	}
}

func TestAnEmptyReportSaysSo(t *testing.T) {
	r, err := Read(context.Background(), storeOf(t, nil), Query{Currency: "EUR", GroupBy: []string{"day"}})
	if err != nil {
		t.Fatal(err)
	}
	var table, text bytes.Buffer
	if err := r.WriteTable(&table); err != nil || !strings.Contains(table.String(), "total") {
		t.Errorf("table %q, %v", table.String(), err)
	}
	if err := r.WriteJSON(&text); err != nil || !strings.Contains(text.String(), `"rows": []`) {
		t.Errorf("JSON %s, %v", text.String(), err)
	}
}

func TestReadRefuses(t *testing.T) {
	for _, q := range []Query{{GroupBy: []string{"phone"}}, {Filter: storage.DayFilter{Since: "yesterday"}}, {Filter: storage.DayFilter{Until: "2026-13-01"}}} {
		if _, err := Read(context.Background(), storeOf(t, nil), q); err == nil {
			t.Errorf("%+v was read", q)
		}
	}
}

func TestTotalsHaveTheLabelsOfMetricsAlone(t *testing.T) {
	totals := Totals(kept())
	if len(totals) != 2 {
		t.Fatalf("%d rows", len(totals))
	}
	if d := totals[1]; d.Day != "" || d.Language != "" || d.Country != "IT" || d.Carrier != "meta" || d.Sent != 30 {
		t.Errorf("%+v", d)
	}
}
