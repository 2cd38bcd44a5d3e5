package e2e_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/parola-id/parola/e2e/harness"
	"github.com/parola-id/parola/storage"
)

// stopsWithin is what a stop may take (REL-12); the process here is given three seconds before it on top.
const stopsWithin = 23 * time.Second

// TestREL12_AStopLosesNothing stops a busy process as an orchestrator does: with a request half sent, a page that listens, a
// carrier that hangs and a message that waits behind it.
func TestREL12_AStopLosesNothing(t *testing.T) {
	t.Parallel()
	in := harness.Install(t, harness.Options{Internal: true,
		Environment: []string{"PAROLA_SERVER_STOP_DELAY=3s", "PAROLA_SERVER_STOP_WITHIN=20s", "PAROLA_MFA_WORKERS=1"}})
	process, rp := in.Serve(), in.RelyingParty(harness.WebClient)
	listens, hangs, waits := in.Person("ada"), in.Person("bo"), in.Person("cleo")
	hangs.Phone.Switch(`"meta":"timeout"`)
	type login struct {
		who     harness.Person
		browser *harness.Browser
		request harness.Authorization
		page    *harness.Page
	}
	var logins []*login
	begin := func(who harness.Person) *login {
		l := &login{who: who, browser: in.Browser(), request: rp.Begin()}
		l.page = l.browser.Password(l.request.URL, who)
		l.page.MustSay(t, "Enter your code")
		logins = append(logins, l)
		return l
	}
	first := begin(listens)
	listens.Phone.Passcode("whatsapp", 10*time.Second)
	stream := listen(t, first.browser, in.Issuer+"/login/passcode/events?r="+first.page.URL.Query().Get("r"))
	begin(hangs)
	harness.Eventually(t, 5*time.Second, "Meta holds the request", func() bool { return in.Calls("whatsapp") == 2 })
	begin(waits)
	half := halfSent(t, strings.TrimPrefix(in.Issuer, "http://"))

	began := time.Now()
	must(t, process.Signal(syscall.SIGTERM))
	harness.Eventually(t, 3*time.Second, "the node says that it is stopping", func() bool {
		resp, err := http.Get("http://" + in.Config.Server.InternalListen + "/readyz")
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		text, _ := io.ReadAll(resp.Body)
		return resp.StatusCode == http.StatusServiceUnavailable && strings.Contains(string(text), "stopping")
	})
	if page := in.Browser().Get(in.Issuer + "/"); page.Status != http.StatusOK {
		t.Errorf("balancers have not noticed yet, and a page is answered with %d", page.Status)
	}
	if _, err := io.Copy(io.Discard, stream); err != nil {
		t.Errorf("the event stream was cut off: %v", err)
	}
	half.finish(t)
	if status := process.Wait(t); status != 0 || time.Since(began) > stopsWithin {
		t.Errorf("exit status %d after %s", status, time.Since(began))
	}
	states := map[storage.DeliveryState]int{}
	for _, e := range events(t, open(t, in), "authn.otp.queued") {
		d, err := open(t, in).Delivery(t.Context(), e.DeliveryID)
		must(t, err)
		states[d.State]++
	}
	if states[storage.DeliveryQueued] != 1 || states[storage.DeliverySending] != 0 {
		t.Errorf("the messages are %v, want the last one still queued and none in the air", states)
	}

	hangs.Phone.Switch("")
	in.Serve()
	for _, l := range logins {
		channel := "whatsapp"
		if l.who == hangs {
			channel = "sms" // nobody knows what became of the call
		}
		passcode := l.who.Phone.Passcode(channel, 25*time.Second)
		rp.AuthCode(t, l.browser.Press(l.browser.Reload(l.page), "Continue", "passcode", passcode), l.request)
	}
	holds(t, in)
}

// listen opens an event stream and waits for its first message.
func listen(t *testing.T, b *harness.Browser, address string) io.Reader {
	t.Helper()
	client := *b.Client
	client.Timeout = 0
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	must(t, err)
	resp, err := client.Do(req)
	must(t, err)
	t.Cleanup(func() { resp.Body.Close() })
	in := bufio.NewReader(resp.Body)
	if line, err := in.ReadString('\n'); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("the event stream says %q: %d %v", line, resp.StatusCode, err)
	}
	return in
}

// half is a request whose body has not arrived yet.
type half struct{ net.Conn }

const remainder = "client_credentials"

func halfSent(t *testing.T, address string) half {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	must(t, err)
	t.Cleanup(func() { conn.Close() })
	const begun = "grant_type="
	_, err = fmt.Fprintf(conn, "POST /token HTTP/1.1\r\nHost: %s\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s",
		address, len(begun)+len(remainder), begun)
	must(t, err)
	return half{conn}
}

// finish sends the rest and reads the answer: a client that did not say who it is.
func (h half) finish(t *testing.T) {
	t.Helper()
	_, err := io.WriteString(h, remainder)
	must(t, err)
	resp, err := http.ReadResponse(bufio.NewReader(h), nil)
	if err != nil || resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("the request that was half sent: %v %v", resp, err)
	}
}
