package whatsapp

import (
	"context"

	"github.com/parola-id/parola/mfa"
)

// maxText is how long Meta lets the body of a text message be, in characters.
const maxText = 4096

// codeNoWords is our word for a warning that was not tried because there is no text for it.
const codeNoWords = "no_words"

// Warn implements mfa.Warner by a free-form text message. Meta takes one only within 24 hours after the person wrote to
// us, as the tap on "I didn't request a code" is; later it is refused with 131047, class S.
func (c *Channel) Warn(ctx context.Context, w mfa.Warning) error {
	text, err := c.cfg.WarnText(w.Locale, string(w.Kind))
	if n := len([]rune(text)); err != nil || n == 0 || n > maxText {
		c.cfg.Log.Error("write warning", "kind", w.Kind, "locale", w.Locale, "characters", n, "err", err)
		return &mfa.Refused{Failure: mfa.Failure{Class: mfa.ClassConfig, Code: codeNoWords}, NotSent: true}
	}
	_, err = c.send(ctx, sendRequest{Type: "text", To: w.To.Reveal(), Text: &sendText{Body: text}, Callback: w.NoticeID})
	return err
}
