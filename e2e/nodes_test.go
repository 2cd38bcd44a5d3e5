package e2e_test

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parola-id/parola/e2e/harness"
	"github.com/parola-id/parola/internal/app"
	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/storage"
)

// cluster is two processes on one PostgreSQL behind a balancer that sends each request to the next of them. Carriers'
// webhooks all reach the second.
type cluster struct {
	*crowd
	processes []*harness.Process
}

func clustered(t *testing.T, environment ...string) *cluster {
	t.Helper()
	in := harness.Install(t, harness.Options{DSN: postgresDSN(t), Environment: environment})
	processes, addresses := in.ServeNodes(2)
	in.Balance(addresses...)
	return &cluster{processes: processes, crowd: &crowd{Installation: in, t: t, store: open(t, in), nodes: addresses,
		who: in.Person("rita"), rp: in.RelyingParty(harness.WebClient)}}
}

// with is the cluster for a subtest, with a person of its own.
func (c *cluster) with(t *testing.T) *cluster {
	other, crowd := *c, *c.crowd
	other.crowd = &crowd
	crowd.t, crowd.Installation = t, c.For(t)
	crowd.who = crowd.Person("rita")
	return &other
}

// windows are one browser that reaches each of the nodes by name.
func (c *cluster) windows() []*harness.Browser {
	var all []*harness.Browser
	for _, node := range c.nodes {
		b := c.Browser().Through(node)
		if len(all) > 0 {
			b.Client.Jar = all[0].Client.Jar
		}
		all = append(all, b)
	}
	return all
}

// withinASecond holds every node to showing a change that has just been committed: whoever begins to ask more than a second
// later must be shown it.
func (c *cluster) withinASecond(what string, shown func(node string) bool) {
	c.t.Helper()
	committed := time.Now()
	for _, node := range c.nodes {
		for {
			begun := time.Now()
			if shown(node) {
				break
			}
			if begun.Sub(committed) > time.Second {
				c.t.Fatalf("a second later %s does not show at %s", what, node)
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
}

// tokens signs the person in by any nodes.
func (c *cluster) tokens() harness.Answer {
	c.t.Helper()
	authCode, a := c.authCode()
	tokens, err := c.rp.Redeem(authCode, a)
	if err != nil || tokens.Status != http.StatusOK {
		c.t.Fatalf("redeem: %d %v %s", tokens.Status, err, tokens.Body)
	}
	return tokens
}

var eventsOf = regexp.MustCompile(`data-events="([^"]+)"`)

// watch opens the live part of a passcode page, as its script does.
func watch(t *testing.T, b *harness.Browser, page *harness.Page) <-chan string {
	t.Helper()
	found := eventsOf.FindStringSubmatch(page.Body)
	if found == nil {
		t.Fatalf("the page has no live part:\n%s", page.Text())
	}
	address, err := page.URL.Parse(html.UnescapeString(found[1]))
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address.String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	patient := *b.Client
	patient.Timeout = 0
	resp, err := patient.Do(request)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("open the event stream: %v %v", resp, err)
	}
	lines := make(chan string, 64)
	go func() {
		defer close(lines)
		defer resp.Body.Close()
		for in := bufio.NewScanner(resp.Body); in.Scan(); {
			lines <- in.Text()
		}
	}()
	return lines
}

// says waits until the live page says a text; false when the stream ends before.
func says(t *testing.T, lines <-chan string, text string) bool {
	t.Helper()
	late := time.After(10 * time.Second)
	for {
		select {
		case line, open := <-lines:
			if !open || strings.Contains(line, text) {
				return open
			}
		case <-late:
			t.Fatalf("the live page never says %q", text)
		}
	}
}

// TestNodes runs two nodes as two processes: whatever one of them did, the other one knows.
func TestNodes(t *testing.T) {
	t.Parallel()
	c := clustered(t, "PAROLA_LIMITS_PASSWORD_FREE=1")
	for name, run := range map[string]func(*testing.T, *cluster){
		"a login whose every request meets another node":    nodesInTurn,
		"a login begun here, received there, finished here": nodesByName,
		"a page on one node shows the receipt at another":   nodesLivePage,
		"each of many messages is sent once":                nodesSendOnce,
		"one-time things have one winner":                   nodesOneWinner,
		"a lost answer is given again by any node":          nodesAnswer,
		"wrong passcodes and passwords are counted once":    nodesCount,
		"a session ends everywhere":                         nodesSession,
		"a revoked token is dead everywhere":                nodesRevoked,
		"a removed client is unknown everywhere":            nodesClient,
		"keys are rotated and withdrawn everywhere":         nodesKeys,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run(t, c.with(t))
		})
	}
}

func nodesInTurn(t *testing.T, c *cluster) {
	b := c.Browser()
	for range 2 {
		a := c.rp.Begin("prompt", "login")
		page := b.Get(a.URL)
		typed := []string{"password", c.who.Password}
		if page.Says("Username") {
			typed = append(typed, "username", c.who.Username)
		}
		c.who.Phone.Forget()
		page = b.Press(page, "Continue", typed...)
		page.MustSay(t, "Enter your code")
		page = b.Until(page, "has arrived on WhatsApp", 10*time.Second)
		page = b.Press(page, "Continue", "passcode", c.who.Phone.Passcode("whatsapp", 10*time.Second))
		tokens, err := c.rp.Redeem(c.rp.AuthCode(t, page, a), a)
		if err != nil || tokens.Status != http.StatusOK {
			t.Fatalf("redeem: %d %v %s", tokens.Status, err, tokens.Body)
		}
		if again, err := c.rp.Refresh(tokens.Text("refresh_token")); err != nil || again.Status != http.StatusOK {
			t.Fatalf("refresh: %d %v %s", again.Status, err, again.Body)
		}
	}
}

func nodesByName(t *testing.T, c *cluster) {
	b, a := c.windows(), c.rp.Begin()
	page := b[0].Password(a.URL, c.who)
	page.MustSay(t, "Enter your code")
	page = b[0].Until(page, "has arrived on WhatsApp", 10*time.Second) // the second node was told
	page = b[1].Reload(page)
	page.MustSay(t, "has arrived on WhatsApp")
	page = b[0].Press(page, "Continue", "passcode", c.who.Phone.Passcode("whatsapp", 10*time.Second))
	tokens, err := c.rp.At(c.nodes[1]).Redeem(c.rp.AuthCode(t, page, a), a)
	if err != nil || tokens.Status != http.StatusOK {
		t.Fatalf("redeem at the other node: %d %v %s", tokens.Status, err, tokens.Body)
	}
	if info, err := c.rp.At(c.nodes[0]).UserInfo(tokens.Text("access_token")); err != nil || info.Status != http.StatusOK {
		t.Errorf("userinfo: %d %v %s", info.Status, err, info.Body)
	}
}

func nodesLivePage(t *testing.T, c *cluster) {
	c.who.Phone.Switch(`"phone_off":true`)
	b := c.windows()[0]
	page := b.Password(c.rp.Begin().URL, c.who)
	live := watch(t, b, page)
	if !says(t, live, "is on its way on WhatsApp") {
		t.Fatal("the stream ended")
	}
	c.who.Phone.Switch("")
	switched := time.Now()
	if !says(t, live, "has arrived on WhatsApp") {
		t.Fatal("the stream ended")
	}
	if took := time.Since(switched); took > 2*time.Second {
		t.Errorf("the page showed the receipt after %v", took)
	}
}

func nodesSendOnce(t *testing.T, c *cluster) {
	people := make([]harness.Person, 8)
	for i := range people {
		people[i] = c.Person("sent")
	}
	var all sync.WaitGroup
	for _, who := range people {
		all.Go(func() {
			b := c.Browser()
			page, err := b.Load(http.MethodGet, c.rp.Begin().URL, nil, "")
			if err == nil {
				page, err = b.TryPress(page, "Continue", "username", who.Username, "password", who.Password)
			}
			if err != nil || !page.Says("Enter your code") {
				t.Errorf("password: %v", err)
			}
		})
	}
	all.Wait()
	for _, who := range people {
		who.Phone.Passcode("whatsapp", 20*time.Second)
	}
	time.Sleep(1500 * time.Millisecond) // both dispatchers look for what they missed every second
	for _, who := range people {
		if sent := len(who.Phone.Sent("whatsapp")) + len(who.Phone.Sent("sms")); sent != 1 {
			t.Errorf("%s got %d messages", who.Username, sent)
		}
	}
}

func nodesOneWinner(t *testing.T, c *cluster) {
	b, a := c.windows(), c.rp.Begin()
	page := b[0].Password(a.URL, c.who)
	passcode := c.who.Phone.Passcode("whatsapp", 10*time.Second)
	authCode := c.oneAuthCode(6, func(i int) (*harness.Page, error) {
		return b[i%len(b)].TryPress(page, "Continue", "passcode", passcode)
	})
	race := func(use func(rp *harness.RelyingParty) (harness.Answer, error)) {
		t.Helper()
		answers := make([]harness.Answer, 6)
		c.atOnce(len(answers), func(i int, node string) {
			var err error
			if answers[i], err = use(c.rp.At(node)); err != nil {
				t.Error(err)
			}
		})
		c.oneWinner(answers)
	}
	race(func(rp *harness.RelyingParty) (harness.Answer, error) { return rp.Redeem(authCode, a) })
	refresh := c.tokens().Text("refresh_token")
	race(func(rp *harness.RelyingParty) (harness.Answer, error) { return rp.Refresh(refresh) })
}

// nodesAnswer asks both nodes for the answer of one login, as a browser or a balancer does that lost the first.
func nodesAnswer(t *testing.T, c *cluster) {
	b, a := c.windows(), c.rp.Begin()
	home := b[0].StopAt
	b[0].StopAt = func(u *url.URL) bool { return u.Path == "/authorize/resume" }
	resume := b[0].Login(a.URL, c.who, "whatsapp").URL
	b[0].StopAt = home
	ask := func(i int) (*harness.Page, error) { return b[i%len(b)].Load(http.MethodGet, resume.String(), nil, "") }
	answers := make([]*harness.Page, 6)
	authCode := c.oneAuthCode(len(answers), func(i int) (page *harness.Page, err error) {
		answers[i], err = ask(i)
		return answers[i], err
	})
	if t.Failed() {
		return
	}
	for _, page := range answers {
		c.rp.AuthCode(t, page, a)
	}
	issued, err := c.store.ListEvents(t.Context(), storage.EventFilter{Kind: audit.CodeIssued, AuthRequestID: resume.Query().Get("r")})
	if err != nil || len(issued) != 1 {
		t.Errorf("%d AuthCodes are told of: %v", len(issued), err)
	}
	tokens, err := c.rp.At(c.nodes[1]).Redeem(authCode, a)
	if err != nil || tokens.Status != http.StatusOK {
		t.Fatalf("redeem: %d %v %s", tokens.Status, err, tokens.Body)
	}
	for i := range b {
		if page, err := ask(i); err != nil || page.Status != http.StatusGone {
			t.Errorf("after redemption: %v %+v", err, page)
		}
	}
	if info, err := c.rp.UserInfo(tokens.Text("access_token")); err != nil || info.Status != http.StatusOK {
		t.Errorf("a reload has cost the tokens: %d %v %s", info.Status, err, info.Body)
	}
}

func nodesCount(t *testing.T, c *cluster) {
	b := c.windows()
	page := b[0].Get(c.rp.Begin().URL)
	for i := range 3 { // two are free for a stranger here
		page = b[i%2].Press(page, "Continue", "username", c.who.Username, "password", "not the password")
	}
	if page.Status != http.StatusTooManyRequests {
		t.Errorf("the third wrong password, at the first node again, is answered with %d: %s", page.Status, page.Text())
	}

	typist := c.Person("typist")
	a := c.rp.Begin()
	entered := b[0].Password(a.URL, typist)
	passcode := typist.Phone.Passcode("whatsapp", 10*time.Second)
	wrong := "000000"
	if passcode == wrong {
		wrong = "000001"
	}
	for i := range 5 {
		b[i%2].Press(entered, "Continue", "passcode", wrong)
	}
	if next := b[1].Press(entered, "Continue", "passcode", passcode); next.Stopped {
		t.Error("the right passcode worked after five wrong ones at two nodes")
	}
	if told := events(t, c.store, audit.PasscodeExhausted); len(told) != 1 || told[0].Data["tries"] != "5" {
		t.Errorf("told: %+v", told)
	}
}

func nodesSession(t *testing.T, c *cluster) {
	b, a := c.windows(), c.rp.Begin()
	c.rp.AuthCode(t, b[0].Login(a.URL, c.who, "whatsapp"), a)
	silent := func(i int) url.Values {
		return b[i].Get(c.rp.Begin("prompt", "none").URL).URL.Query()
	}
	if answer := silent(1); answer.Get("code") == "" {
		t.Fatalf("the other node does not know the session: %v", answer)
	}
	c.Command(func(ctx context.Context, base *app.Base) error {
		_, err := base.EndSessionsOf(ctx, c.who.Username)
		return err
	})
	c.withinASecond("that a session has ended", func(node string) bool {
		return silent(slices.Index(c.nodes, node)).Get("error") == "login_required"
	})
}

func nodesRevoked(t *testing.T, c *cluster) {
	tokens := c.tokens()
	for _, node := range c.nodes {
		if info, err := c.rp.At(node).UserInfo(tokens.Text("access_token")); err != nil || info.Status != http.StatusOK {
			t.Fatalf("userinfo before: %d %v %s", info.Status, err, info.Body)
		}
	}
	if revoked, err := c.rp.At(c.nodes[0]).Post("/revoke", url.Values{"token": {tokens.Text("refresh_token")}}); err != nil || revoked.Status != http.StatusOK {
		t.Fatalf("revoke: %d %v %s", revoked.Status, err, revoked.Body)
	}
	c.withinASecond("that a token is revoked", func(node string) bool {
		info, err := c.rp.At(node).UserInfo(tokens.Text("access_token"))
		return err == nil && info.Status == http.StatusUnauthorized
	})
}

func nodesClient(t *testing.T, c *cluster) {
	native := c.RelyingParty(harness.NativeClient)
	asked := func(node string) *harness.Page { return c.Browser().Through(node).Get(native.Begin().URL) }
	for _, node := range c.nodes {
		asked(node).MustSay(t, "Username") // and now both have it in memory
	}
	c.Command(func(ctx context.Context, base *app.Base) error { return base.RemoveClient(ctx, harness.NativeClient) })
	c.withinASecond("that a client is removed", func(node string) bool { return !asked(node).Says("Username") })
}

// nodesKeys replaces and withdraws the signing key by the command line, in the middle of everybody else's logins.
func nodesKeys(t *testing.T, c *cluster) {
	refresh := map[string]string{}
	for _, node := range c.nodes {
		refresh[node] = c.tokens().Text("refresh_token")
	}
	signedWith := func(node string) string {
		answer, err := c.rp.At(node).Refresh(refresh[node])
		if err != nil || answer.Status != http.StatusOK {
			t.Fatalf("refresh in the middle of a rotation: %d %v %s", answer.Status, err, answer.Body)
		}
		refresh[node] = answer.Text("refresh_token")
		return kid(t, answer.Text("id_token"))
	}
	published := func(node, kid string) bool {
		answer, err := c.rp.At(node).Get("/jwks")
		return err == nil && strings.Contains(answer.Body, kid)
	}
	parola := func(args ...string) {
		t.Helper()
		harness.Run(t, harness.Program(t, "cmd/parola"), append([]string{"--config", c.ConfigFile}, args...)...)
	}
	old := signedWith(c.nodes[0])
	if other := signedWith(c.nodes[1]); other != old {
		t.Fatalf("two nodes sign with %s and %s", old, other)
	}
	parola("keys", "rotate", "--alg", "ES256", "--now")
	c.withinASecond("another key", func(node string) bool { return signedWith(node) != old && published(node, old) })
	parola("keys", "withdraw", old, "--reason", "a test")
	c.withinASecond("the withdrawal", func(node string) bool { return !published(node, old) })
	if a, b := signedWith(c.nodes[0]), signedWith(c.nodes[1]); a != b || !published(c.nodes[1], a) {
		t.Errorf("two nodes sign with %s and %s", a, b)
	}
}

// kid is the key that a JWT names in its header.
func kid(t *testing.T, jwt string) string {
	t.Helper()
	head, _, _ := strings.Cut(jwt, ".")
	var header struct{ KID string }
	text, err := base64.RawURLEncoding.DecodeString(head)
	if err == nil {
		err = json.Unmarshal(text, &header)
	}
	if err != nil {
		t.Fatalf("read header of a JWT: %v", err)
	}
	return header.KID
}

// orphan is a login whose node is killed in the middle; the other node goes on.
type orphan struct {
	*cluster
	request harness.Authorization
	first   *harness.Browser // reaches the node that is killed
	browser *harness.Browser // the same one behind the balancer
	page    *harness.Page
}

// orphaned gets a person as far as the passcode page of the first node, with the carriers in a mood.
func orphaned(t *testing.T, mood string) *orphan {
	t.Helper()
	o := &orphan{cluster: clustered(t)}
	o.who.Phone.Switch(mood)
	o.request, o.browser, o.first = o.rp.Begin(), o.Browser(), o.windows()[0]
	o.first.Client.Jar = o.browser.Client.Jar
	o.page = o.first.Password(o.request.URL, o.who)
	o.page.MustSay(t, "Enter your code")
	return o
}

// finish types the passcode that came by a channel, and holds the carriers to having been called so often.
func (o *orphan) finish(channel string, whatsApp, sms int) {
	o.t.Helper()
	passcode := o.who.Phone.Passcode(channel, 40*time.Second)
	page := o.browser.Press(o.page, "Continue", "passcode", passcode)
	tokens, err := o.rp.Redeem(o.rp.AuthCode(o.t, page, o.request), o.request)
	if err != nil || tokens.Status != http.StatusOK {
		o.t.Fatalf("redeem: %d %v %s", tokens.Status, err, tokens.Body)
	}
	if by := harness.Claims(o.t, tokens.Text("id_token"))["mfa_channel"]; by != channel {
		o.t.Errorf("mfa_channel is %v", by)
	}
	if w, s := o.Calls("whatsapp"), o.Calls("sms"); w != whatsApp || s != sms {
		o.t.Errorf("the carriers were called %d times for WhatsApp and %d times for SMS, want %d and %d", w, s, whatsApp, sms)
	}
}

// TestREL04_NodeKilledBeforeItSent kills the node that announced a message and has a page open, while the message waits to
// be sent: the other node sends it, and the page goes on there.
func TestREL04_NodeKilledBeforeItSent(t *testing.T) {
	t.Parallel()
	for range 5 {
		o := orphaned(t, `"meta":"130429"`) // busy: once more in a second or two
		live := watch(t, o.first, o.page)
		harness.Eventually(t, 10*time.Second, "the message waits", func() bool {
			return len(events(t, o.store, audit.PasscodeSendFailed)) > 0
		})
		o.processes[0].Kill()
		o.who.Phone.Switch("")
		if o.Calls("whatsapp") == 1 {
			o.goesOn(live)
			return
		}
	}
	t.Fatal("the message was always sent again before the node could be killed")
}

// goesOn holds the other node to sending what waits.
func (o *orphan) goesOn(live <-chan string) {
	t := o.t
	t.Helper()
	if says(t, live, "never said") {
		t.Fatal("a stream of a killed node goes on")
	}
	live = watch(t, o.browser, o.page) // as the browser does by itself
	if !says(t, live, "has arrived on WhatsApp") {
		t.Error("the stream ended")
	}
	o.finish("whatsapp", 2, 0)
}

// TestREL04_NodeKilledWhileItSent kills a node while Meta holds its request: the other one gives the message up when the
// lease of the call is over, and sends the SMS.
func TestREL04_NodeKilledWhileItSent(t *testing.T) {
	t.Parallel()
	o := orphaned(t, `"meta":"timeout"`)
	harness.Eventually(t, 10*time.Second, "Meta holds the request", func() bool { return o.Calls("whatsapp") == 1 })
	o.processes[0].Kill()
	o.who.Phone.Switch("")
	o.finish("sms", 1, 1)
}
