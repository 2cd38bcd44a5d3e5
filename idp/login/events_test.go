package login

import (
	"bufio"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/parola-id/parola/mfa"
)

// watch opens the event stream and returns its messages: "data: …" and "event: end" lines.
func (b *browser) watch(id string) (messages <-chan string, status int) {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), http.MethodGet, b.url(pathEvents+"?r="+id).String(), nil)
	must(b.t, err)
	resp, err := b.http.Do(req)
	must(b.t, err)
	lines := make(chan string, 16)
	go func() {
		defer close(lines)
		defer resp.Body.Close()
		for in := bufio.NewScanner(resp.Body); in.Scan(); {
			if in.Text() != "" {
				lines <- in.Text()
			}
		}
	}()
	return lines, resp.StatusCode
}

// next is the next message that holds the text; the stream's end is "".
func (b *browser) next(messages <-chan string, text string) string {
	b.t.Helper()
	timeout := time.After(20 * time.Second)
	for {
		select {
		case m, ok := <-messages:
			if !ok || strings.Contains(m, text) {
				return m
			}
		case <-timeout:
			b.t.Fatalf("the stream never says %q", text)
		}
	}
}

func TestTheStreamShowsWhatBecomesOfTheMessageAndEndsWithTheChallenge(t *testing.T) {
	s := newSite(t)
	s.pause() // nothing goes out yet
	b := s.newBrowser()
	id := b.request("bank")
	b.open(id)
	b.typePassword("anna", annasPassword)
	messages, status := b.watch(id)
	if status != http.StatusOK {
		t.Fatalf("status %d", status)
	}
	if m := b.next(messages, "data:"); !strings.Contains(m, "Sending your code") {
		t.Errorf("first message %q", m)
	}
	s.dispatch()
	if m := b.next(messages, "has arrived on WhatsApp"); !strings.HasPrefix(m, "data: ") || strings.Contains(m, "393331234567") {
		t.Errorf("message %q", m)
	}
	early := s.newBrowser() // what b would be if its stream ended before the browser has the session's cookie
	early.http.Jar.SetCookies(b.url("/"), b.http.Jar.Cookies(b.url(pathPasscode)))
	early.get(pathPasscode + "?r=" + id)
	tab := s.newBrowser()
	tab.http.Jar = b.http.Jar
	tab.get(pathPasscode + "?r=" + id)
	tab.typePasscode(s.arrived(annasPhone, 0).Passcode)
	if m := b.next(messages, "event:"); m != "event: end" {
		t.Errorf("last message %q", m)
	}
	b.next(messages, "never said")
	// The tab in which it was typed carries the answer to the client; the one that watched does not bring it once more.
	for _, watching := range []*browser{b, early} {
		watching.streamEnded()
		watching.wantPage(http.StatusOK, pathPasscode)
		watching.wantText("Already finished")
	}
	b.get(pathPasscode + "?r=" + id) // somebody asks for it: the other tab may have lost the answer
	b.wantPage(http.StatusOK, resumePath)
}

// streamEnded loads what the script of the page loads when the stream says that the page is over.
func (b *browser) streamEnded() {
	b.t.Helper()
	doc, err := html.Parse(strings.NewReader(b.page.body))
	must(b.t, err)
	for n := range doc.Descendants() {
		if next := attr(n, "data-ended"); next != "" {
			b.get(next)
			return
		}
	}
	b.t.Fatalf("the page says nothing of the end of its stream:\n%s", b.page.body)
}

func TestTheStreamEndsWhenThePasscodeExpires(t *testing.T) {
	s := newSite(t)
	b, id, _ := s.atPasscode()
	messages, _ := b.watch(id)
	b.next(messages, "data:")
	s.clock.Advance(mfa.Defaults().PasscodeLife)
	if m := b.next(messages, "event:"); m != "event: end" {
		t.Errorf("message %q", m)
	}
	b.streamEnded()
	b.wantPage(http.StatusOK, pathPasscode)
	b.wantText("This code has expired")
}

func TestAStreamThatEndsAfterAnotherLoginLeadsOn(t *testing.T) {
	s := newSite(t)
	b, id, _ := s.atPasscode()
	waiting := b.page
	messages, _ := b.watch(id)
	b.next(messages, "data:")
	b.signIn("bank") // for another request, in another tab
	s.clock.Advance(mfa.Defaults().PasscodeLife)
	if m := b.next(messages, "event:"); m != "event: end" {
		t.Errorf("message %q", m)
	}
	b.page = waiting
	b.streamEnded()
	b.wantPage(http.StatusOK, resumePath) // nothing is left to ask, and no other tab carries this answer
}

func TestDOS08_StreamsOfOneRequestAreBounded(t *testing.T) {
	s := newSite(t)
	b, id, _ := s.atPasscode()
	for i := range streamsPerRequest {
		messages, status := b.watch(id)
		if status != http.StatusOK {
			t.Fatalf("stream %d: status %d", i, status)
		}
		b.next(messages, "data:")
	}
	if _, status := b.watch(id); status != http.StatusNoContent {
		t.Errorf("one stream too many gets %d", status)
	}
	other, second, _ := s.atPasscode()
	if _, status := other.watch(second); status != http.StatusOK {
		t.Errorf("another request's stream gets %d", status)
	}
}

func TestDOS08_StreamsOfAProcessAreBounded(t *testing.T) {
	s := newStreams()
	leave, ok := s.enter("the first")
	for i := 1; ok && i < streamsAtOnce; i++ {
		_, ok = s.enter(strconv.Itoa(i))
	}
	if !ok {
		t.Fatal("refused below the bound")
	}
	if _, ok := s.enter("one more"); ok {
		t.Error("one stream more than the process may have")
	}
	leave()
	if _, ok := s.enter("one more"); !ok {
		t.Error("refused although one has gone")
	}
}

func TestREL12_StreamsEndWhenTheServerStops(t *testing.T) {
	s := newSite(t)
	b, id, _ := s.atPasscode()
	messages, _ := b.watch(id)
	b.next(messages, "data:")
	s.login.Close()
	s.login.Close() // twice does no harm
	if m := b.next(messages, "never said"); m != "" {
		t.Errorf("message %q", m)
	}
	s.eventually("the stream to be counted out", func() bool {
		s.login.streams.mu.Lock()
		defer s.login.streams.mu.Unlock()
		return len(s.login.streams.open) == 0
	})
}

func TestNoStreamWithoutAChallenge(t *testing.T) {
	s := newSite(t)
	b := s.newBrowser()
	if _, status := b.watch(b.request("bank")); status != http.StatusNoContent {
		t.Errorf("status %d", status)
	}
}
