package templates

import "fmt"

var notices = map[string]string{"not_requested": "notice.not_requested", "signed_in": "notice.signed_in"}

// Notice is the plain text of a message to a person's phone that carries no passcode; kind says which: not_requested
// answers "I didn't request a code", signed_in does where the code had been used already. It fails for a kind that has no words.
func (t *Templates) Notice(lang, kind, service string) (string, error) {
	key, ok := notices[kind]
	if !ok {
		return "", fmt.Errorf("write notice: no words for kind %q", kind)
	}
	text, err := t.locales.get(lang).text(key, "service", oneLine(service))
	if err != nil {
		return "", fmt.Errorf("write notice: %w", err)
	}
	return text, nil
}
