package mfa

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/storage"
)

// noticeEvery is how often one person is told the same thing at most: whoever knows the password must not be able to have
// us write to its owner all day.
const noticeEvery = 24 * time.Hour

// notRequested ends a challenge whose person says that they did not ask for it: somebody else knows the password. It
// is told also when the challenge was over, which is the worse news.
func (s *Service) notRequested(ctx context.Context, c *storage.Challenge, d storage.Delivery) error {
	ended, err := s.store.EndChallenge(ctx, c.ID, storage.ChallengeNotRequested, s.clock.Now())
	if err != nil {
		return err
	}
	if *c, err = s.store.Challenge(ctx, c.ID); err != nil { // how it ended, if somebody else was quicker
		return err
	}
	e := failed(deliveryEvent(ctx, audit.NotRequested, *c, d), "not_requested")
	e.Data["challenge"] = string(endOf(*c))
	if err := s.audit.Write(ctx, e); err != nil {
		return err
	}
	kind := storage.NoticeNotRequested
	if !ended && c.End == storage.ChallengeVerified {
		kind = storage.NoticeSignedIn
	}
	return s.warnPerson(ctx, *c, d, kind)
}

// warnPerson queues the answer to the tap, in the transaction of what it tells. It goes back on the channel of the tap,
// whose window for free answers the tap has opened.
func (s *Service) warnPerson(ctx context.Context, c storage.Challenge, d storage.Delivery, kind storage.NoticeKind) error {
	if s.warner == nil || d.Channel != storage.WhatsApp {
		return nil
	}
	now := s.clock.Now()
	bucket := s.throttle.Notes(audit.PersonWarned+"/"+string(kind), c.PersonID)
	bucket.Interval, bucket.Burst = noticeEvery, 1
	if full, err := s.store.Take(ctx, now, bucket); err != nil || full != nil {
		return err
	}
	err := s.store.InsertNotice(ctx, storage.Notice{
		ID: storage.NewID(), ChallengeID: c.ID, PersonID: c.PersonID, PhoneID: c.PhoneID, Channel: d.Channel, Carrier: d.Carrier,
		Kind: kind, Locale: c.Locale, State: storage.DeliveryQueued, CreatedAt: now, DueAt: now,
	})
	if err != nil {
		return err
	}
	s.wakeSomeDispatcher(ctx, d.Carrier)
	return nil
}

// errand is a claimed notice on its way to its carrier.
type errand struct {
	notice    storage.Notice
	challenge storage.Challenge
	warning   Warning
}

// claimNotices moves due notices to "sending" and starts their calls once that has committed, like claimQueued: on the
// lanes of the carriers that passcodes use, and only on what is free of them.
func (s *Service) claimNotices(ctx context.Context, calls *sync.WaitGroup) (claimed int, err error) {
	free := s.noticeLanes()
	if free == 0 {
		return 0, nil
	}
	var errands []errand
	err = s.store.InTx(ctx, func(ctx context.Context) error {
		errands = nil
		now := s.clock.Now()
		notices, err := s.store.ClaimNotices(ctx, now, now.Add(sendLease), free)
		if err != nil {
			return err
		}
		claimed = len(notices)
		for _, n := range notices {
			e, ready, err := s.prepareNotice(ctx, n)
			if err != nil {
				return err
			}
			if ready {
				errands = append(errands, e)
			}
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("claim notices: %w", err)
	}
	for _, e := range errands {
		lane := s.lanes[e.notice.Carrier]
		lane <- struct{}{} // nobody else takes lanes than the dispatcher, which counted the free ones
		calls.Go(func() {
			defer s.leave(lane)
			s.warn(context.WithoutCancel(ctx), e)
		})
	}
	return claimed, nil
}

// noticeLanes is how many notices may be claimed: the fewest free lanes of any carrier that could have them. Where none is
// configured any more, those that are left over are claimed in order to be ended.
func (s *Service) noticeLanes() int {
	free := dueAtOnce
	for _, name := range s.routes.to(storage.WhatsApp, "") {
		free = min(free, cap(s.lanes[name])-len(s.lanes[name]))
	}
	return free
}

// prepareNotice reads what a notice needs, or ends it when there is no way for it any more.
func (s *Service) prepareNotice(ctx context.Context, n storage.Notice) (e errand, ready bool, err error) {
	e = errand{notice: n}
	if e.challenge, err = s.store.Challenge(ctx, n.ChallengeID); err != nil {
		return e, false, err
	}
	phone, err := s.store.Phone(ctx, n.PhoneID)
	switch {
	case errors.Is(err, storage.ErrNotFound):
		return e, false, s.settleNotice(ctx, e, notSent("phone_removed"))
	case err != nil:
		return e, false, err
	case s.warner == nil || s.lanes[n.Carrier] == nil:
		return e, false, s.settleNotice(ctx, e, notSent("no_channel"))
	}
	to, err := OpenPhone(s.keys, phone)
	if err != nil {
		s.log.Error("prepare notice", "notice", n.ID, "err", err)
		return e, false, s.settleNotice(ctx, e, notSent("unknown_key"))
	}
	e.warning = Warning{NoticeID: n.ID, To: to, Locale: n.Locale, Kind: n.Kind}
	return e, true, nil
}

func notSent(code string) error {
	return &Refused{Failure: Failure{Class: ClassConfig, Code: code}, NotSent: true}
}

// warn sends one notice and writes down what came of it. When that cannot be written, its lease ends and it becomes
// unknown, which is the truth.
func (s *Service) warn(ctx context.Context, e errand) {
	outcome := errors.New("the channel panicked")
	s.guard("warn", func() {
		callCtx, cancel := context.WithTimeout(ctx, s.settings.CallTimeout)
		defer cancel()
		outcome = s.warner.Warn(callCtx, e.warning)
	})
	err := s.store.InTx(ctx, func(ctx context.Context) error { return s.settleNotice(ctx, e, outcome) })
	if err != nil {
		s.log.Error("record result of notice", "notice", e.notice.ID, "err", err)
	}
}

// settleNotice stores the end of a notice with its event, or queues the one retry of class R.
func (s *Service) settleNotice(ctx context.Context, e errand, outcome error) error {
	n := e.notice
	told := event(ctx, audit.PersonWarned, e.challenge)
	told.Channel, told.Data["carrier"], told.Data["notice"] = string(n.Channel), n.Carrier, string(n.Kind)
	var refused *Refused
	switch {
	case outcome == nil:
		n.State = storage.DeliveryAccepted
	case !errors.As(outcome, &refused):
		n.State = storage.DeliveryUnknown
		told = failed(told, "unknown")
	case refused.Class == ClassRetry && refused.NotSent && n.Calls < maxCalls:
		n.State, n.FailureCode = storage.DeliveryQueued, shortCode(refused.Code)
		n.DueAt = s.clock.Now().Add(max(refused.RetryAfter, time.Second) + rand.N(time.Second))
		return s.store.SettleNotice(ctx, n)
	default:
		n.State, n.FailureCode = storage.DeliveryFailed, shortCode(refused.Code)
		told = failed(told, "refused")
		told.Data["failure_class"], told.Data["failure_code"] = string(refused.Class), n.FailureCode
	}
	if err := s.store.SettleNotice(ctx, n); err != nil {
		return err
	}
	return s.audit.Write(ctx, told)
}
