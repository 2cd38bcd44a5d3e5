package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/parola-id/parola/bench/rig"
	"github.com/parola-id/parola/storage"
)

const (
	statusesPerSecond = 2000
	statusesPerPost   = 50
)

// webhooks posts statuses at a steady rate to a running server while people sign in, and times the answers. Every status
// is news about a message that the server sent: sent, then delivered, then read.
func webhooks(ctx context.Context, o options) ([]figure, error) {
	const besides = 2 // logins per second
	in, server, err := installation(ctx, o, o.seconds*besides)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	defer server.End()
	marks, err := manyMessages(ctx, in, o.seconds*statusesPerSecond/3)
	if err != nil {
		return nil, err
	}
	bodies := notifications(in, marks)
	var (
		mu    sync.Mutex
		times []time.Duration
		work  sync.WaitGroup
	)
	var loginErr error
	work.Go(func() {
		loginErr = steadily(ctx, o.seconds*besides, besides, func(ctx context.Context, i int) error {
			return login(ctx, in, in.People[i], false)
		})
	})
	began := time.Now()
	err = steadily(ctx, len(bodies), float64(statusesPerSecond)/statusesPerPost, func(ctx context.Context, i int) error {
		at := time.Now()
		err := post(ctx, in, bodies[i])
		mu.Lock()
		defer mu.Unlock()
		times = append(times, time.Since(at))
		return err
	})
	took := time.Since(began)
	work.Wait()
	if err == nil {
		err = loginErr
	}
	if err != nil {
		return nil, fmt.Errorf("%w\n%s", err, in.LogTail(5))
	}
	if err := applied(ctx, in, marks); err != nil {
		return nil, err
	}
	f := figureOf("webhook posted → acknowledged", times)
	f.PerSecond = float64(len(bodies)*statusesPerPost) / took.Seconds()
	f.Note = fmt.Sprintf("statuses, %d in a POST, with %d logins per second", statusesPerPost, besides)
	one, err := thousandAtOnce(ctx, in)
	return append([]figure{f}, one...), err
}

// manyMessages puts challenges with an accepted WhatsApp message each into the database.
func manyMessages(ctx context.Context, in *rig.Installation, n int) ([]string, error) {
	store, err := in.OpenStore(ctx)
	if err != nil {
		return nil, err
	}
	defer store.Close()
	var marks []string
	for len(marks) < n {
		err := store.InTx(ctx, func(ctx context.Context) error {
			for range min(500, n-len(marks)) {
				now := time.Now()
				c := storage.Challenge{ID: storage.NewTimeID(now), PersonID: storage.NewID(), PhoneID: storage.NewID(), AuthRequestID: storage.NewTimeID(now),
					Purpose: storage.PurposeLogin, Nonce: make([]byte, 16), PhoneCountry: "IT", PhoneLastTwo: "00", Locale: "en",
					CreatedAt: now, ExpiresAt: now.Add(30 * time.Minute), MaxTries: 5, DueAt: now.Add(30 * time.Minute),
					Policy: storage.ChallengePolicy{Fallback: "allow", NotEntered: "send", NotDeliveredAfter: 20 * time.Minute,
						NotEnteredAfter: 20 * time.Minute, MaxMessages: 4, WhatsAppFirst: true}}
				d := storage.Delivery{ID: storage.NewTimeID(now), ChallengeID: c.ID, Channel: storage.WhatsApp, Carrier: "meta", Trigger: "first",
					State: storage.DeliveryAccepted, Calls: 1, CreatedAt: now, DueAt: now, SendingAt: now, AcceptedAt: now}
				if err := store.InsertChallenge(ctx, c); err != nil {
					return err
				}
				if err := store.InsertDelivery(ctx, d); err != nil {
					return err
				}
				marks = append(marks, d.ID)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return marks, nil
}

// notifications are all statuses of all messages: first every "sent", and so on.
func notifications(in *rig.Installation, marks []string) [][]byte {
	var (
		bodies   [][]byte
		statuses []map[string]any
	)
	for _, status := range []string{"sent", "delivered", "read"} {
		for _, mark := range marks {
			statuses = append(statuses, map[string]any{"id": "wamid." + mark, "status": status, "timestamp": strconv.FormatInt(time.Now().Unix(), 10),
				"recipient_id": "393471234567", "biz_opaque_callback_data": mark})
			if len(statuses) == statusesPerPost {
				bodies = append(bodies, notification(in, statuses))
				statuses = nil
			}
		}
	}
	if len(statuses) > 0 {
		bodies = append(bodies, notification(in, statuses))
	}
	return bodies
}

func notification(in *rig.Installation, statuses []map[string]any) []byte {
	body, err := json.Marshal(map[string]any{"object": "whatsapp_business_account", "entry": []any{map[string]any{
		"id": "102000000000001", "changes": []any{map[string]any{"field": "messages", "value": map[string]any{
			"messaging_product": "whatsapp", "metadata": map[string]string{"phone_number_id": in.Secrets.PhoneNumberID}, "statuses": statuses,
		}}}}}})
	if err != nil {
		panic("delivery: " + err.Error()) // maps of strings
	}
	return body
}

// poster keeps connections, as Meta does.
var poster = &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}

func post(ctx context.Context, in *rig.Installation, body []byte) error {
	mac := hmac.New(sha256.New, []byte(in.Secrets.AppSecret))
	mac.Write(body)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, in.Issuer+"/webhooks/whatsapp", bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	resp, err := poster.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("webhook answered %s", resp.Status)
	}
	return nil
}

// applied makes sure that the statuses were not only acknowledged.
func applied(ctx context.Context, in *rig.Installation, marks []string) error {
	store, err := in.OpenStore(ctx)
	if err != nil {
		return err
	}
	defer store.Close()
	for i := 0; i < len(marks); i += max(1, len(marks)/100) {
		d, err := store.Delivery(ctx, marks[i])
		if err != nil {
			return err
		}
		if d.State != storage.DeliveryRead {
			return fmt.Errorf("message %s is %q after its statuses were acknowledged", d.ID, d.State)
		}
	}
	return nil
}

// thousandAtOnce times a POST with as many statuses as Meta puts into one.
func thousandAtOnce(ctx context.Context, in *rig.Installation) ([]figure, error) {
	const posts, each = 5, 1000
	marks, err := manyMessages(ctx, in, posts*each)
	if err != nil {
		return nil, err
	}
	var times []time.Duration
	for p := range posts {
		var statuses []map[string]any
		for _, mark := range marks[p*each : (p+1)*each] {
			statuses = append(statuses, map[string]any{"id": "wamid." + mark, "status": "delivered", "timestamp": strconv.FormatInt(time.Now().Unix(), 10),
				"biz_opaque_callback_data": mark})
		}
		began := time.Now()
		if err := post(ctx, in, notification(in, statuses)); err != nil {
			return nil, err
		}
		times = append(times, time.Since(began))
	}
	return []figure{figureOf("one POST with 1,000 statuses → acknowledged", times)}, nil
}
