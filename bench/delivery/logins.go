package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/parola-id/parola/bench/rig"
	"github.com/parola-id/parola/examples/handset"
	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/storage"
)

// loginsPerSecond is the load under which the way to the socket is measured.
const loginsPerSecond = 10

func installation(ctx context.Context, o options, people int) (*rig.Installation, *rig.Server, error) {
	in, err := rig.Install(ctx, rig.Options{DSN: o.dsn, People: people, TemplateTTL: 30 * time.Second, NotEntered: time.Minute,
		PasscodeLife: 5 * time.Minute, CallTimeout: 5 * time.Second, DeliverAfter: 50 * time.Millisecond, Profile: o.profile})
	if err != nil {
		return nil, nil, err
	}
	server, err := in.StartServer(ctx)
	if err != nil {
		in.Close()
		return nil, nil, err
	}
	return in, server, nil
}

// logins signs people in at a steady rate. For every second one the number has no WhatsApp, which its receipt tells: the
// way to the socket is timed for all of them, the way from the receipt to the SMS for those.
func logins(ctx context.Context, o options) ([]figure, error) {
	n := o.seconds * loginsPerSecond
	in, server, err := installation(ctx, o, n)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	defer server.End()
	hooks, err := in.TapWebhooks()
	if err != nil {
		return nil, err
	}
	defer hooks.Close()
	if err := steadily(ctx, n, loginsPerSecond, func(ctx context.Context, i int) error {
		return login(ctx, in, in.People[i], i%2 == 1)
	}); err != nil {
		return nil, fmt.Errorf("%w\n%s", err, in.LogTail(5))
	}
	time.Sleep(2 * time.Second) // the last receipts
	store, err := in.OpenStore(ctx)
	if err != nil {
		return nil, err
	}
	defer store.Close()
	toSocket, toSMS, err := times(ctx, store, in.Tap, hooks)
	if err != nil {
		return nil, err
	}
	socket := figureOf("password accepted → carrier's socket", toSocket)
	socket.Note = fmt.Sprintf("with %d logins per second", loginsPerSecond)
	return []figure{socket, figureOf("failed receipt → SMS on the socket", toSMS)}, nil
}

// login is one whole login, the passcode taken from whichever message arrives.
func login(ctx context.Context, in *rig.Installation, p rig.Person, noWhatsApp bool) error {
	if noWhatsApp {
		if err := in.Phones.SetSwitches(p.Phone, handset.Switches{NoWhatsApp: "webhook"}); err != nil {
			return err
		}
	}
	l, err := in.Begin(ctx)
	if err != nil {
		return err
	}
	if err := l.Password(ctx, p); err != nil {
		return err
	}
	for ctx.Err() == nil {
		if inbox := in.Phones.Inbox(p.Phone); len(inbox) > 0 {
			if err := l.Submit(ctx, "passcode", map[string][]string{"passcode": {inbox[0].Passcode}}); err != nil {
				return err
			}
			if l.AuthCode == "" {
				return fmt.Errorf("%s did not get in", p.Username)
			}
			return nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	return ctx.Err()
}

// steadily calls f n times, at a rate that does not wait for it: an open loop.
func steadily(ctx context.Context, n int, perSecond float64, f func(context.Context, int) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, time.Duration(float64(n)/perSecond*float64(time.Second))+time.Minute,
		fmt.Errorf("not finished a minute after the last one began"))
	defer cancel()
	var (
		all   sync.WaitGroup
		once  sync.Once
		first error
	)
	began := time.Now()
	for i := range n {
		time.Sleep(time.Until(began.Add(time.Duration(float64(i) / perSecond * float64(time.Second)))))
		all.Go(func() {
			if err := f(ctx, i); err != nil {
				once.Do(func() { first = err })
			}
		})
	}
	all.Wait()
	return first
}

// times reads from the audit log when passwords were accepted, and compares with what the taps saw.
func times(ctx context.Context, store storage.Store, tap *rig.Tap, hooks *rig.Webhooks) (toSocket, toSMS []time.Duration, err error) {
	accepted := map[string]time.Time{} // by AuthRequest
	first, followed := map[string]string{}, map[string]string{}
	for after := ""; ; {
		events, err := store.ListEvents(ctx, storage.EventFilter{Kind: "authn.", AfterID: after, Limit: 10_000})
		if err != nil {
			return nil, nil, err
		}
		if len(events) == 0 {
			break
		}
		after = events[len(events)-1].ID
		for _, e := range events {
			switch {
			case e.Kind == audit.PasswordSuccess:
				accepted[e.AuthRequestID] = e.At
			case e.Kind == audit.PasscodeQueued && e.Channel == string(storage.WhatsApp):
				first[e.AuthRequestID] = e.DeliveryID
			case e.Kind == audit.PasscodeQueued:
				followed[e.AuthRequestID] = e.DeliveryID
			}
		}
	}
	called := map[string]time.Time{}
	for _, c := range tap.Calls() {
		called[c.Delivery] = c.At
	}
	failed := hooks.Failed()
	for request, at := range accepted {
		if call, there := called[first[request]]; there {
			toSocket = append(toSocket, call.Sub(at))
		}
		call, sent := called[followed[request]]
		if receipt, told := failed[first[request]]; sent && told {
			toSMS = append(toSMS, call.Sub(receipt))
		}
	}
	return toSocket, toSMS, nil
}
