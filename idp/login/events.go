package login

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/parola-id/parola/mfa"
	"github.com/parola-id/parola/templates"
)

const (
	// pollEvery makes up for a wake-up that was lost. Changes show at once, whichever node made them, and what the time alone
	// changes when it does: thousands of open pages must not ask the database every second.
	pollEvery = 5 * time.Second
	// lookAfter is how long after the time of such a change it is looked for, so that it is not looked for too early.
	lookAfter = 10 * time.Millisecond
	// heartbeatEvery keeps proxies from closing a quiet stream.
	heartbeatEvery = 15 * time.Second
	// writeWithin bounds one write: a browser that reads nothing must not hold a goroutine (DOS-03).
	writeWithin = 10 * time.Second
	// readWithin bounds one look at the database.
	readWithin = 5 * time.Second
	// streamsPerRequest is some tabs, and a few that have not noticed yet that they were closed.
	streamsPerRequest = 3
	// streamsAtOnce bounds those of the whole process (DOS-08); beyond it pages go on without live state.
	streamsAtOnce = 4096
)

// streams counts the event streams of this process.
type streams struct {
	mu      sync.Mutex
	open    map[string]int // by AuthRequest
	all     int
	closing chan struct{}
	once    sync.Once
}

func newStreams() *streams {
	return &streams{open: map[string]int{}, closing: make(chan struct{})}
}

// enter counts a stream of an AuthRequest, unless that or the process has enough. leave must be called once.
func (s *streams) enter(id string) (leave func(), ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open[id] >= streamsPerRequest || s.all >= streamsAtOnce {
		return nil, false
	}
	s.open[id]++
	s.all++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.all--
		if s.open[id]--; s.open[id] == 0 {
			delete(s.open, id)
		}
	}, true
}

func (s *streams) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all
}

func (s *streams) close() { s.once.Do(func() { close(s.closing) }) }

// streamStatus is the live part of the passcode page: each message is the status as the page itself would show it, and
// "end" says that the page is over.
func (l *Login) streamStatus(v *visit) {
	step := Next(v.in)
	challengeID := v.in.Request.Progress.ChallengeID
	if step.Kind != AskPasscode || challengeID == "" {
		v.w.WriteHeader(http.StatusNoContent) // tells EventSource not to come back
		return
	}
	leave, ok := l.streams.enter(v.id())
	if !ok {
		v.w.WriteHeader(http.StatusNoContent)
		return
	}
	defer leave()
	changed, stop := l.MFA.Watch(challengeID)
	defer stop()

	h := v.w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // nginx would collect the messages
	v.w.WriteHeader(http.StatusOK)
	s := &stream{visit: v, login: l, challengeID: challengeID, writer: http.NewResponseController(v.w)}
	look, heartbeat := time.NewTimer(pollEvery), time.NewTicker(heartbeatEvery)
	defer look.Stop()
	defer heartbeat.Stop()
	for {
		next, over := s.update(v.r.Context())
		if over {
			return
		}
		look.Reset(min(next+lookAfter, pollEvery))
		select {
		case <-changed:
		case <-look.C:
		case <-heartbeat.C:
			if s.write(": still here\n\n") != nil {
				return
			}
		case <-l.streams.closing:
			return
		case <-v.r.Context().Done():
			return
		}
	}
}

// stream is one browser that watches a challenge.
type stream struct {
	*visit
	login       *Login
	challengeID string
	writer      *http.ResponseController
	shown       templates.PasscodeStatus
	any         bool
}

// update writes the status if it looks different from what is shown, and says whether the stream is over, and when the
// status changes by itself.
func (s *stream) update(ctx context.Context) (next time.Duration, over bool) {
	asking, cancel := context.WithTimeout(ctx, readWithin)
	defer cancel()
	p, err := s.login.MFA.Progress(asking, s.challengeID)
	var gone *mfa.EndedError
	if err != nil && !errors.As(err, &gone) {
		if ctx.Err() == nil {
			s.login.Log.WarnContext(ctx, "stream passcode status", "err", err)
		}
		return 0, true // EventSource comes back by itself
	}
	if gone != nil || p.Ended || onItsOwnPage(p) {
		_ = s.write("event: end\ndata: over\n\n") // the stream is over either way
		return 0, true
	}
	status := statusOf(p)
	if s.any && looksLike(status) == looksLike(s.shown) {
		return p.ChangesIn, false
	}
	var b bytes.Buffer
	if err := status.Render(&b, s.login.Templates, s.view); err != nil {
		s.login.Log.ErrorContext(ctx, "render passcode status", "err", err)
		return 0, true
	}
	s.shown, s.any = status, true
	return p.ChangesIn, s.write(fmt.Sprintf("data: %s\n\n", b.Bytes())) != nil
}

// looksLike is a status without its countdowns, which the browser runs by itself; what is left of them is whether the
// thing will be, is now, or will never be.
func looksLike(s templates.PasscodeStatus) templates.PasscodeStatus {
	for _, d := range []*time.Duration{&s.SMSIn, &s.SMSOfferIn, &s.ResendIn} {
		*d = min(max(*d, -1), 1)
	}
	return s
}

func (s *stream) write(message string) error {
	// A socket's deadline is in the machine's time, whatever the clock of the login says.
	if err := s.writer.SetWriteDeadline(time.Now().Add(writeWithin)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return fmt.Errorf("stream passcode status: %w", err)
	}
	if _, err := s.w.Write([]byte(message)); err != nil {
		return fmt.Errorf("stream passcode status: %w", err)
	}
	return s.writer.Flush()
}
