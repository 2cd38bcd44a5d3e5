package templates

import (
	"fmt"
	"io"
	"time"
)

// Stage is how far the passcode has come on its way, in the general terms a person may see (OTP-42): never the carrier's
// reason.
type Stage int

// The stages.
const (
	StageSending      Stage = iota // queued or sending on WhatsApp
	StageOnItsWay                  // WhatsApp took it, not delivered yet
	StageDelivered                 // delivered on WhatsApp
	StageSMSSoon                   // WhatsApp did not get through; SMS follows in PasscodeStatus.SMSIn
	StageSMSSending                // queued or sending by SMS
	StageSMSSent                   // the SMS was taken
	StageSMSDelivered              // the SMS was delivered
	StageNotArriving               // no channel got through
	StageUnknown                   // the answer to the SMS was lost: it may or may not arrive
	StageSMSRefused                // no SMS for now, by limits of ours; WhatsApp may still get through
)

// Never is a wait that does not end: the thing is not offered.
const Never time.Duration = -1

// PasscodeStatus is the part of the passcode page that changes while a person looks at it. It is shown inside
// [Passcode], and alone as the data of the event stream.
type PasscodeStatus struct {
	Stage Stage
	// PhoneEnding is the last two digits of the number (OTP-40).
	PhoneEnding string
	// WhatsApp and SMS say on which channels the passcode has gone out or is going out.
	WhatsApp, SMS bool
	// WhatsAppDelivered stays true when an SMS follows a message that had arrived.
	WhatsAppDelivered bool
	// WhatsAppRefused says that WhatsApp took none of its messages. The page does not say why either.
	WhatsAppRefused bool
	// WhatsAppSkipped says that the passcode went by SMS at once. The page does not say why: a number without WhatsApp and
	// a WhatsApp that is down look the same (OTP-42).
	WhatsAppSkipped bool
	// SMSIn is the time until the automatic SMS; Never when there will be none.
	SMSIn time.Duration
	// SMSOfferIn is the time until "Send it by SMS instead" is offered: 0 is now, Never is not at all.
	SMSOfferIn time.Duration
	// ResendIn is the time until "Send again" is possible: 0 is now, Never is not at all.
	ResendIn time.Duration
}

// Render writes the status alone, on a single line, so that it is one data field of a server-sent event.
func (s PasscodeStatus) Render(w io.Writer, t *Templates, v View) error {
	return t.execute(&lineWriter{w}, v.Language, "passcode", "status", s)
}

// lineWriter writes line ends as spaces, which mean the same in the status fragment.
type lineWriter struct{ w io.Writer }

func (l *lineWriter) Write(b []byte) (int, error) {
	line := make([]byte, len(b))
	for i, c := range b {
		if c == '\n' || c == '\r' {
			c = ' '
		}
		line[i] = c
	}
	return l.w.Write(line)
}

// TextKey is the message that tells the stage.
func (s PasscodeStatus) TextKey() string {
	return [...]string{
		StageSending:      "stage.sending",
		StageOnItsWay:     "stage.on_its_way",
		StageDelivered:    "stage.delivered",
		StageSMSSoon:      "stage.sms_soon",
		StageSMSSending:   "stage.sms_sending",
		StageSMSSent:      "stage.sms_sent",
		StageSMSDelivered: "stage.sms_delivered",
		StageNotArriving:  "stage.not_arriving",
		StageUnknown:      "stage.unknown",
		StageSMSRefused:   "stage.sms_refused",
	}[s.Stage]
}

// MoreKey is the message below the steps: the automatic SMS when one follows, otherwise what to do at this stage. It is
// never empty, so that the page keeps its shape, and never asks for a button that is not there.
func (s PasscodeStatus) MoreKey() string {
	follows := s.SMSIn > 0 && !s.SMS
	switch s.Stage {
	case StageSMSSoon:
		if follows {
			return "more.sms_soon"
		}
		return "more.sms_now"
	case StageDelivered:
		if follows {
			return "more.sms_if_not_entered"
		}
		return "more.open_whatsapp"
	case StageSMSSending, StageSMSSent:
		if s.WhatsAppSkipped {
			return "more.sms_at_once"
		}
		return "more.sms_takes_time"
	case StageSMSDelivered:
		return "more.open_messages"
	case StageNotArriving, StageUnknown, StageSMSRefused:
		return s.helpKey()
	default:
		if follows {
			return "more.sms_if_not_delivered"
		}
		return "more.few_seconds"
	}
}

// helpKey is what to do when the passcode may not come.
func (s PasscodeStatus) helpKey() string {
	switch {
	case s.StartAgainIn() == 0:
		return "more.start_again"
	case s.Stage == StageSMSRefused:
		return "more.sms_refused"
	case s.Stage == StageUnknown:
		return "more.send_again"
	default:
		return "more.phone_on"
	}
}

// StartAgainIn is the time until "Start again" is offered: at once when the passcode did not arrive and no message is
// left that could still bring it, and otherwise Never.
func (s PasscodeStatus) StartAgainIn() time.Duration {
	switch s.Stage {
	case StageNotArriving, StageUnknown, StageSMSRefused:
		if s.ResendIn < 0 && s.SMSOfferIn < 0 {
			return 0
		}
	}
	return Never
}

// Tone is the class of the status in the stylesheet.
func (s PasscodeStatus) Tone() string {
	switch s.Stage {
	case StageDelivered, StageSMSDelivered:
		return "good"
	case StageNotArriving, StageUnknown, StageSMSRefused:
		return "bad"
	default:
		return "moving"
	}
}

// StepState is where one step of the indicator stands. Its value is the class in the stylesheet.
type StepState string

const (
	StepNext   StepState = "next"   // not begun
	StepNow    StepState = "now"    // happening
	StepDone   StepState = "done"   // happened
	StepMissed StepState = "missed" // did not happen, or nobody knows that it did
)

// Step is one step of the indicator: WhatsApp sent, delivered, SMS. Its label says the state in words, so that the mark
// is never the only sign of it.
type Step struct {
	State    StepState
	LabelKey string
}

var (
	whatsAppLabels  = map[StepState]string{StepNow: "step.whatsapp.now", StepDone: "step.whatsapp.done", StepMissed: "step.whatsapp.missed"}
	deliveredLabels = map[StepState]string{StepNext: "step.delivered.next", StepNow: "step.delivered.now",
		StepDone: "step.delivered.done", StepMissed: "step.delivered.missed"}
)

// Steps are the steps that apply: WhatsApp's when it was tried, its delivery when that took the message, and SMS when it was
// or may be.
func (s PasscodeStatus) Steps() []Step {
	var steps []Step
	if s.WhatsApp || !s.SMS {
		sent, delivered := s.whatsAppSteps()
		steps = append(steps, Step{sent, whatsAppLabels[sent]})
		if sent != StepMissed { // what was not sent cannot be delivered
			steps = append(steps, Step{delivered, deliveredLabels[delivered]})
		}
	}
	if s.SMS || s.SMSIn >= 0 || s.SMSOfferIn >= 0 || s.Stage == StageSMSRefused {
		steps = append(steps, s.smsStep())
	}
	return steps
}

func (s PasscodeStatus) whatsAppSteps() (sent, delivered StepState) {
	switch {
	case s.WhatsAppDelivered || s.Stage == StageDelivered:
		return StepDone, StepDone
	case s.Stage == StageSending:
		return StepNow, StepNext
	case s.Stage == StageOnItsWay:
		return StepDone, StepNow
	case s.WhatsAppRefused:
		return StepMissed, StepMissed
	default:
		return StepDone, StepMissed
	}
}

func (s PasscodeStatus) smsStep() Step {
	switch s.Stage {
	case StageSMSSending, StageSMSSent:
		return Step{StepNow, "step.sms.now"}
	case StageSMSDelivered:
		return Step{StepDone, "step.sms.done"}
	case StageUnknown:
		return Step{StepMissed, "step.sms.unknown"}
	case StageNotArriving:
		return Step{StepMissed, "step.sms.missed"}
	case StageSMSRefused:
		return Step{StepMissed, "step.sms.refused"}
	}
	if s.SMS { // it failed, and the stage is WhatsApp's
		return Step{StepMissed, "step.sms.missed"}
	}
	return Step{StepNext, "step.sms.next"}
}

// PasscodeError is what the passcode page says went wrong with the last post.
type PasscodeError int

const (
	PasscodeNoError       PasscodeError = iota // the first look, or nothing went wrong
	PasscodeWrong                              // Passcode.TriesLeft says how many tries are left
	PasscodeMalformed                          // not as many digits as a passcode has; not counted as a try
	PasscodeThrottled                          // too many wrong ones: Passcode.RetryIn
	PasscodeResendRefused                      // no message now: Passcode.RetryIn
	PasscodeSMSRefused                         // no SMS for now, by limits of ours
	PasscodeBusy                               // the server could not check now; nothing was counted
)

// Passcode asks for the passcode that was sent, and shows what becomes of the message.
type Passcode struct {
	Client Client
	// Length is the number of digits.
	Length int
	Status PasscodeStatus
	// ExpiresIn is the time until the passcode ends.
	ExpiresIn time.Duration

	Error PasscodeError
	// TriesLeft is for PasscodeWrong, RetryIn for PasscodeThrottled and PasscodeResendRefused.
	TriesLeft int
	RetryIn   time.Duration

	// VerifyURL, SMSURL and ResendURL are where "Continue", "Send it by SMS instead" and "Send again" post to.
	VerifyURL, SMSURL, ResendURL string
	// StartAgainURL is where "Start again" posts to, once no message is left.
	StartAgainURL string
	// RefreshURL is this page, for "Check again".
	RefreshURL string
	// EventsURL is the event stream: each message event's data is what PasscodeStatus.Render wrote; an event named "end"
	// says that this page is over. Empty when there is none.
	EventsURL string
	// EndedURL is what the script loads then, without anybody having asked for it.
	EndedURL string
}

// Render writes the page to w in the language of v.
func (p Passcode) Render(w io.Writer, t *Templates, v View) error {
	return t.render(w, v, "passcode", p)
}

// Pattern accepts the digits with spaces and hyphens anywhere, as people paste them.
func (p Passcode) Pattern() string { return fmt.Sprintf(`[\s\-]*(?:\p{Nd}[\s\-]*){%d}`, p.Length) }

// InputWrong says that the error is about what was typed.
func (p Passcode) InputWrong() bool { return p.Error == PasscodeWrong || p.Error == PasscodeMalformed }

// ErrorKey is the message of the error, empty for none.
func (p Passcode) ErrorKey() string {
	return [...]string{
		PasscodeNoError:       "",
		PasscodeWrong:         "passcode.wrong",
		PasscodeMalformed:     "passcode.malformed",
		PasscodeThrottled:     "passcode.throttled",
		PasscodeResendRefused: "passcode.resend_refused",
		PasscodeSMSRefused:    "passcode.sms_refused",
		PasscodeBusy:          "passcode.busy",
	}[p.Error]
}

// PasscodeEnd is why a challenge is over without this page having won.
type PasscodeEnd int

const (
	PasscodeExpired      PasscodeEnd = iota // its time was up
	PasscodeExhausted                       // too many wrong ones: the password is asked for again (OTP-22)
	PasscodeElsewhere                       // another tab finished the login, or began a newer one
	PasscodeNotRequested                    // somebody answered on the phone that they had not asked for it
	PasscodeBarred                          // a security signal: nothing goes to this number for this login
	PasscodeDisabled                        // the phone factor is disabled (OTP-21)
	PasscodeRefused                         // policy leaves no channel to this number
)

// PasscodeEnded says that a passcode cannot be entered, or no longer, and what to do next.
type PasscodeEnded struct {
	Client Client
	Reason PasscodeEnd
	// StartAgainURL is where "Start again" posts to; empty when there is nothing to start.
	StartAgainURL string
	// ReturnURL is where "Return to the application" posts to, which then answers the client; empty for no button.
	ReturnURL string
}

// Render writes the page to w in the language of v.
func (p PasscodeEnded) Render(w io.Writer, t *Templates, v View) error {
	return t.render(w, v, "passcode_ended", p)
}

// TitleKey is the headline of the reason.
func (p PasscodeEnded) TitleKey() string { return p.keys()[0] }

// TextKey is what the reason means for the person.
func (p PasscodeEnded) TextKey() string { return p.keys()[1] }

func (p PasscodeEnded) keys() [2]string {
	return [...][2]string{
		PasscodeExpired:      {"ended.expired.title", "ended.expired.text"},
		PasscodeExhausted:    {"ended.exhausted.title", "ended.exhausted.text"},
		PasscodeElsewhere:    {"ended.elsewhere.title", "ended.elsewhere.text"},
		PasscodeNotRequested: {"ended.not_requested.title", "ended.not_requested.text"},
		PasscodeBarred:       {"ended.barred.title", "ended.barred.text"},
		PasscodeDisabled:     {"ended.disabled.title", "ended.disabled.text"},
		PasscodeRefused:      {"ended.refused.title", "ended.refused.text"},
	}[p.Reason]
}

// NoPhone tells a person without a verified phone that the login cannot be finished, and by whom it can be helped.
type NoPhone struct {
	Client Client
	// ReturnURL is where "Return to the application" posts to, which then answers the client; empty for no button.
	ReturnURL string
}

// Render writes the page to w in the language of v.
func (p NoPhone) Render(w io.Writer, t *Templates, v View) error {
	return t.render(w, v, "no_phone", p)
}

// ChannelsDown says that neither WhatsApp nor SMS can be reached, and offers to try again.
type ChannelsDown struct {
	Client Client
	// RetryURL is where "Try again" posts to.
	RetryURL string
}

// Render writes the page to w in the language of v.
func (p ChannelsDown) Render(w io.Writer, t *Templates, v View) error {
	return t.render(w, v, "channels_down", p)
}
