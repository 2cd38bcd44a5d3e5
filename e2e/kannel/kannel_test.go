package kannel

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/parola-id/parola/mfa"
	"github.com/parola-id/parola/mfa/channeltest"
	"github.com/parola-id/parola/mfa/sms"
	"github.com/parola-id/parola/storage"
	"github.com/parola-id/parola/templates"
)

func TestTextsArriveAsTheyWereWrittenAndReceiptsComeOnce(t *testing.T) {
	k := start(t)
	center := k.connect(t)
	pages, err := templates.New(templates.Config{Brand: templates.Brand{Name: "Bottega"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, lang := range pages.Languages() {
		for _, service := range []string{"Bottega", "Caffè Milano", "Ресторан 😀"} {
			text, err := pages.SMS(lang, service, "049302", "login.example.com")
			if err != nil {
				t.Fatal(err)
			}
			k.text = text
			m := channeltest.Message(t)
			if _, err := k.channel.Send(t.Context(), m); err != nil {
				t.Fatalf("%s: %v", lang, err)
			}
			center.waitFor(t, channeltest.Number, text)
			k.waitFor(t, m.DeliveryID, mfa.StatusSent, mfa.StatusDelivered)
		}
	}
	// Kannel was told to repeat what is not answered with success; that it repeats nothing is that it was satisfied.
	if n, want := k.calls.Load(), int64(2*3*len(pages.Languages())); n != want {
		t.Errorf("%d receipts for %d", n, want)
	}
}

func TestEveryCharacterOfTheAlphabetArrives(t *testing.T) {
	k := start(t)
	center := k.connect(t)
	for _, text := range []string{
		"@£$¥èéùìòÇØøÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?", "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà",
		"^{}\\[~]|€", "força, ação, clave: 123456", strings.Repeat("é", 160), strings.Repeat("ş", 70),
	} {
		k.text = text
		if _, err := k.channel.Send(t.Context(), channeltest.Message(t)); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		center.waitFor(t, channeltest.Number, text)
	}
}

func TestANumberThatNoLinkTakesIsRefusedAndReportedSo(t *testing.T) {
	k := start(t)
	k.connect(t)
	m := channeltest.Message(t)
	m.To = phone(t, deniedNumber)
	_, err := k.channel.Send(t.Context(), m)
	var refused *mfa.Refused
	want := mfa.Refused{Failure: mfa.Failure{Class: mfa.ClassConfig, Code: "not_routable", Scope: mfa.ScopeCountry}, NotSent: true}
	if !errors.As(err, &refused) || *refused != want {
		t.Fatalf("got %v (%+v)", err, refused)
	}
	k.waitFor(t, m.DeliveryID, mfa.StatusFailed)
	if got := k.reports(m.DeliveryID)[0].Failure; got != (mfa.Failure{Class: mfa.ClassFallback, Code: "dlr_16", Scope: mfa.ScopeMessage}) {
		t.Errorf("reported %+v", got)
	}
}

func TestWhatIsSentWhileTheLinkIsDownArrivesWhenItIsUp(t *testing.T) {
	k := start(t)
	k.connect(t).Kill()
	k.waitForStatus(t, "re-connecting")
	k.text = "123456 while the link was down"
	m := channeltest.Message(t)
	if _, err := k.channel.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if got := k.reports(m.DeliveryID); len(got) != 0 {
		t.Errorf("reported %+v", got)
	}
	k.connect(t).waitFor(t, channeltest.Number, k.text)
	k.waitFor(t, m.DeliveryID, mfa.StatusSent, mfa.StatusDelivered)
}

func TestWH04_KannelRepeatsAReceiptThatCouldNotBeStored(t *testing.T) {
	k := start(t)
	k.connect(t)
	k.refuse.Store(2)
	m := channeltest.Message(t)
	if _, err := k.channel.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	k.waitFor(t, m.DeliveryID, mfa.StatusSent, mfa.StatusDelivered)
	if n := k.calls.Load(); n != 4 {
		t.Errorf("%d calls, want the two refused and the two that came again", n)
	}
}

func TestCredentialsAreLookedAtWithoutSending(t *testing.T) {
	k := start(t)
	center := k.connect(t)
	for _, f := range k.channel.Check(t.Context()) {
		if f.Status == mfa.FindingFailed {
			t.Errorf("%+v", f)
		}
	}
	for name, change := range map[string]func(*sms.KannelConfig){
		"wrong password": func(c *sms.KannelConfig) { c.Password = "another" },
		"wrong username": func(c *sms.KannelConfig) { c.Username = "another" },
		"wrong path":     func(c *sms.KannelConfig) { c.BaseURL = strings.Replace(c.BaseURL, "sendsms", "sendmms", 1) },
	} {
		other := k.make(t, change)
		if f := other.Check(t.Context())[0]; f.Status != mfa.FindingFailed || f.Advice == "" {
			t.Errorf("%s: %+v", name, f)
		}
		var refused *mfa.Refused
		if _, err := other.Send(t.Context(), channeltest.Message(t)); !errors.As(err, &refused) || refused.Class != mfa.ClassConfig || !refused.NotSent {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := center.messages(); len(got) != 0 {
		t.Errorf("it sent %q", got)
	}
}

// messages are what fakesmsc says it got, receiver and text. Its own protocol has a line for each message, so that a text
// of several lines comes to it, and here, as several.
func (c *messageCenter) messages() [][2]string {
	var all [][2]string
	for _, part := range strings.Split(c.Output(), "Got message ")[1:] {
		_, line, _ := strings.Cut(part, "<")
		line, _, _ = strings.Cut(line, ">\n")
		fields := strings.SplitN(line, " ", 4) // sender, receiver, kind, text
		switch {
		case fields[0] != "Parola":
			all[len(all)-1][1] += "\n" + line
		case fields[2] == "ucs-2":
			all = append(all, [2]string{fields[1], fromUCS2(fields[3])})
		default:
			all = append(all, [2]string{fields[1], fields[3]})
		}
	}
	return all
}

func (c *messageCenter) waitFor(t *testing.T, to, text string) {
	t.Helper()
	within(t, "the text to arrive", func() bool { return slices.Contains(c.messages(), [2]string{to, text}) }, func() any { return c.messages() })
}

// fromUCS2 reads UTF-16 in big-endian order, URL-encoded, which is how fakesmsc prints it.
func fromUCS2(s string) string {
	octets, err := url.QueryUnescape(s)
	if err != nil {
		return err.Error()
	}
	var units []uint16
	for i := 0; i+1 < len(octets); i += 2 {
		units = append(units, uint16(octets[i])<<8|uint16(octets[i+1]))
	}
	return string(utf16.Decode(units))
}

func (k *kannel) waitFor(t *testing.T, deliveryID string, want ...storage.DeliveryState) {
	t.Helper()
	within(t, "receipts", func() bool {
		var got []storage.DeliveryState
		for _, r := range k.reports(deliveryID) {
			got = append(got, r.Status)
		}
		slices.Sort(got)
		slices.Sort(want)
		return slices.Equal(got, want)
	}, func() any { return k.reports(deliveryID) })
}

func (k *kannel) reports(deliveryID string) []mfa.Report {
	k.mu.Lock()
	defer k.mu.Unlock()
	var got []mfa.Report
	for _, r := range k.received {
		if r.DeliveryID == deliveryID {
			got = append(got, r)
		}
	}
	return got
}

func (k *kannel) receive(_ context.Context, reports []mfa.Report) error {
	k.calls.Add(1)
	if k.refuse.Add(-1) >= 0 {
		return errors.New("the database is away")
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.received = append(k.received, reports...)
	return nil
}

func (k *kannel) waitForStatus(t *testing.T, word string) {
	t.Helper()
	within(t, "Kannel to be "+word, func() bool { return strings.Contains(k.status(), word) }, func() any { return k.status() })
}

// within polls with a deadline.
func within(t *testing.T, what string, done func() bool, seen func() any) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s; seen: %v", what, seen())
		}
	}
}

func phone(t *testing.T, number string) mfa.Phone {
	t.Helper()
	p, err := mfa.ParsePhone(number, "")
	if err != nil {
		t.Fatal(err)
	}
	return p
}
