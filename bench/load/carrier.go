package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// carrier is Meta as far as a login needs it: it takes a message, reports it sent and delivered in two signed webhooks, and
// only then shows the passcode to whoever waits for it, as a telephone does. It shares the machine with the server, so
// it does nothing else.
type carrier struct {
	webhook, phoneNumberID, appSecret string

	mu sync.Mutex
	// waiting are people by their number: one login at a time each.
	waiting map[string]chan string
	// failed is the first webhook that was not taken.
	failed error
	posts  sync.WaitGroup
}

func newCarrier(issuer, phoneNumberID, appSecret string) *carrier {
	return &carrier{webhook: issuer + "/webhooks/whatsapp", phoneNumberID: phoneNumberID, appSecret: appSecret,
		waiting: make(map[string]chan string)}
}

// sent is the part of a send that matters.
type sent struct {
	To       string `json:"to"`
	Mark     string `json:"biz_opaque_callback_data"`
	Template struct {
		Components []struct {
			Parameters []struct {
				Text string `json:"text"`
			} `json:"parameters"`
		} `json:"components"`
	} `json:"template"`
}

// ServeHTTP implements http.Handler.
func (c *carrier) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var m sent
	if !strings.HasSuffix(r.URL.Path, "/"+c.phoneNumberID+"/messages") || json.NewDecoder(r.Body).Decode(&m) != nil ||
		len(m.Template.Components) == 0 || len(m.Template.Components[0].Parameters) == 0 {
		http.Error(w, `{"error":{"code":100}}`, http.StatusBadRequest) // an SMS would come here too: it is a failure of the run
		return
	}
	wamid := "wamid." + m.Mark
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, `{"messaging_product":"whatsapp","contacts":[{"input":%q,"wa_id":%q}],"messages":[{"id":%q,"message_status":"accepted"}]}`,
		m.To, strings.TrimPrefix(m.To, "+"), wamid)
	c.posts.Go(func() { c.report(m, wamid) })
}

func (c *carrier) report(m sent, wamid string) {
	for _, status := range []string{"sent", "delivered"} {
		if err := c.post(m, wamid, status); err != nil {
			c.mu.Lock()
			c.failed = errors.Join(c.failed, err)
			c.mu.Unlock()
			return
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if waits := c.waiting[m.To]; waits != nil {
		waits <- m.Template.Components[0].Parameters[0].Text
		delete(c.waiting, m.To)
	}
}

// webhooks keeps connections, as Meta does.
var webhooks = &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}

func (c *carrier) post(m sent, wamid, status string) error {
	body := fmt.Appendf(nil, `{"object":"whatsapp_business_account","entry":[{"id":"102000000000001","changes":[{"field":"messages","value":{`+
		`"messaging_product":"whatsapp","metadata":{"display_phone_number":"12025550123","phone_number_id":%q},"statuses":[{"id":%q,"status":%q,`+
		`"timestamp":%q,"recipient_id":%q,"biz_opaque_callback_data":%q}]}}]}]}`, c.phoneNumberID, wamid, status,
		strconv.FormatInt(time.Now().Unix(), 10), strings.TrimPrefix(m.To, "+"), m.Mark)
	mac := hmac.New(sha256.New, []byte(c.appSecret))
	mac.Write(body)
	req, err := http.NewRequest(http.MethodPost, c.webhook, strings.NewReader(string(body)))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	resp, err := webhooks.Do(req)
	if err != nil {
		return fmt.Errorf("report a message: %w", err)
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("report a message: webhook answered %s", resp.Status)
	}
	return nil
}

// expect says that somebody waits for a passcode on a number; it comes out of the channel.
func (c *carrier) expect(number string) <-chan string {
	c.mu.Lock()
	defer c.mu.Unlock()
	waits := make(chan string, 1)
	c.waiting[number] = waits
	return waits
}

// failure is the webhooks that were not taken since it was last asked, once all are answered.
func (c *carrier) failure() error {
	c.posts.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	err := c.failed
	c.failed = nil
	return err
}

// passcode waits for it.
func passcode(ctx context.Context, waits <-chan string) (string, error) {
	select {
	case p := <-waits:
		return p, nil
	case <-ctx.Done():
		return "", ctx.Err()
	case <-time.After(30 * time.Second):
		return "", errors.New("no passcode came within 30 s")
	}
}
