package check

import (
	"slices"

	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/storage"
)

// finished: every session has a whole login behind it, and every grant a session. A kill, a lost answer or a full disk must
// not leave somebody half signed in.
func finished(l *look, breaks func(string, ...any)) {
	for _, s := range l.Sessions {
		e, told := l.created[s.ID]
		switch {
		case !told:
			breaks("session %s: no event tells that it was created", s.ID)
		case e.PersonID != s.PersonID:
			breaks("session %s is of %s, and was created for %s", s.ID, s.PersonID, e.PersonID)
		case count(l.ofRequest[e.AuthRequestID], audit.PasswordSuccess) == 0:
			breaks("session %s: no right password in AuthRequest %q", s.ID, e.AuthRequestID)
		case !slices.ContainsFunc(l.challenges[e.AuthRequestID], func(c *storage.Challenge) bool { return proves(c, s) }):
			breaks("session %s: no challenge of AuthRequest %q was passed by %s before it", s.ID, e.AuthRequestID, s.PersonID)
		}
	}
	for _, g := range l.Grants {
		if g.PersonID == "" {
			continue // client_credentials: there is nobody to sign in
		}
		s, there := l.session[g.SessionID]
		switch {
		case !there || s.PersonID != g.PersonID:
			breaks("grant %s: %s has no session %q", g.ID, g.PersonID, g.SessionID)
		case s.CreatedAt.After(g.CreatedAt) || !s.EndedAt.IsZero() && s.EndedAt.Before(g.CreatedAt):
			breaks("grant %s was made when session %s was not open", g.ID, s.ID)
		case count(l.ofRequest[g.AuthRequestID], audit.AuthorizeStarted) == 0:
			breaks("grant %s: nobody asked for it in AuthRequest %q", g.ID, g.AuthRequestID)
		}
	}
}

func proves(c *storage.Challenge, s storage.Session) bool {
	return c.PersonID == s.PersonID && c.End == storage.ChallengeVerified && !c.EndedAt.After(s.CreatedAt)
}

// once: a passcode, an AuthCode and a refresh token each led to one thing.
func once(l *look, breaks func(string, ...any)) {
	for _, what := range l.Told.Twice {
		breaks("accepted more than once: %s", what)
	}
	for _, c := range l.Challenges {
		want := map[bool]int{true: 1}[c.End == storage.ChallengeVerified]
		if n := count(l.ofChallenge[c.ID], audit.PasscodeSuccess); n != want {
			breaks("challenge %s ended as %q: its passcode was accepted %d times", c.ID, c.End, n)
		}
	}
	for id, events := range l.ofRequest {
		if n := count(events, audit.CodeIssued); n > 1 {
			breaks("AuthRequest %s: %d AuthCodes were issued", id, n)
		}
	}
	grants := map[string]int{}
	for _, g := range l.Grants {
		if g.AuthRequestID != "" {
			grants[g.AuthRequestID]++
		}
		if n := count(l.ofGrant[g.ID], audit.CodeRedeemed); n > 1 {
			breaks("grant %s: its AuthCode was redeemed %d times", g.ID, n)
		}
		oneLine(l, g, breaks)
	}
	for id, n := range grants {
		if n > 1 {
			breaks("AuthRequest %s led to %d grants", id, n)
		}
	}
}

// oneLine: refresh tokens follow one another, each made by using the one before.
func oneLine(l *look, g storage.Grant, breaks func(string, ...any)) {
	all, used, good := 0, 0, 0
	for _, t := range l.tokens[g.ID] {
		if t.Kind != storage.RefreshToken {
			continue
		}
		all++
		if !t.UsedAt.IsZero() {
			used++
		} else if t.RevokedAt.IsZero() && g.RevokedAt.IsZero() {
			good++
		}
	}
	if all > used+1 || good > 1 {
		breaks("grant %s: %d refresh tokens, of which %d were used and %d are good", g.ID, all, used, good)
	}
	if n := count(l.ofGrant[g.ID], audit.TokenRefreshed); n != used {
		breaks("grant %s: %d refresh tokens were used, and %d refreshes are told of", g.ID, used, n)
	}
}

// recorded: nothing succeeded without its event in the same transaction.
func recorded(l *look, breaks func(string, ...any)) {
	for _, g := range l.Grants {
		events := l.ofGrant[g.ID]
		issued, refreshed := count(events, audit.TokenIssued), count(events, audit.TokenRefreshed)
		access := 0
		for _, t := range l.tokens[g.ID] {
			if t.Kind == storage.AccessToken {
				access++
			}
		}
		if access > issued+refreshed {
			breaks("grant %s: %d access tokens, and %d events of their issue", g.ID, access, issued+refreshed)
		}
		if g.AuthCodeHash != "" && count(events, audit.CodeIssued) != 1 {
			breaks("grant %s: no event tells of its AuthCode", g.ID)
		}
		if !g.AuthCodeUsedAt.IsZero() && count(events, audit.CodeRedeemed)+count(events, audit.CodePKCEMismatch) == 0 {
			breaks("grant %s: its AuthCode was used, and no event says so", g.ID)
		}
		if !g.RevokedAt.IsZero() && count(events, audit.TokenRevoked)+count(events, audit.TokenReuse)+count(events, audit.CodeReplayed) == 0 {
			breaks("grant %s: it was revoked (%s), and no event says so", g.ID, g.RevokeReason)
		}
	}
	for id, events := range l.ofChallenge {
		if count(events, audit.PasscodeSuccess) > 0 && count(events, audit.PasscodeQueued) == 0 {
			breaks("challenge %s: a passcode was accepted that was never sent", id)
		}
	}
	for id, events := range l.ofRequest {
		if count(events, audit.CodeIssued) > 0 && count(events, audit.AuthorizeStarted) == 0 {
			breaks("AuthRequest %s: an AuthCode was issued, and no event %s", id, audit.AuthorizeStarted)
		}
	}
}

// counted: tries are counted before they are compared, so that a kill gives none back.
func counted(l *look, breaks func(string, ...any)) {
	tries := map[string]int{}
	for _, c := range l.Challenges {
		tries[c.PersonID] += c.Tries
		compared := count(l.ofChallenge[c.ID], audit.PasscodeSuccess)
		for _, e := range l.ofChallenge[c.ID] {
			if e.Kind == audit.PasscodeFail && e.Reason == "wrong" {
				compared++
			}
		}
		if compared > c.Tries || c.Tries > c.MaxTries {
			breaks("challenge %s: %d of %d tries are counted, and %d passcodes were compared", c.ID, c.Tries, c.MaxTries, compared)
		}
	}
	for person, a := range l.Told.People {
		if a.Wrong > tries[person] {
			breaks("%s was told %d times that a passcode is wrong, and %d tries are counted", person, a.Wrong, tries[person])
		}
	}
}

// kept: what somebody was told has happened, whatever was killed afterwards.
func kept(l *look, breaks func(string, ...any)) {
	for person, a := range l.Told.People {
		for kind, told := range map[string]int{audit.CodeIssued: a.AuthCodes, audit.CodeRedeemed: a.Redeemed, audit.TokenRefreshed: a.Refreshed} {
			if n := l.ofPerson[person][kind]; n < told {
				breaks("%s saw %d times what the log calls %s, and the log has %d", person, told, kind, n)
			}
		}
	}
}
