package native

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"
)

// claims are the members of an ID token that the text report speaks of.
type claims struct {
	Subject    string   `json:"sub"`
	Name       string   `json:"name"`
	ACR        string   `json:"acr"`
	AMR        []string `json:"amr"`
	MFAChannel string   `json:"mfa_channel"`
	AuthTime   int64    `json:"auth_time"`
}

// read takes what it can from a verified payload; a member of another type stays empty.
func read(payload json.RawMessage) claims {
	var c claims
	_ = json.Unmarshal(payload, &c)
	return c
}

func reportURL(w io.Writer, asJSON bool, authorizationURL string) error {
	if asJSON {
		return printLine(w, map[string]string{"authorization_url": authorizationURL})
	}
	_, err := fmt.Fprintf(w, "To sign in, open this address in your browser:\n\n%s\n\nWaiting for you there …\n", authorizationURL)
	return err
}

func report(w io.Writer, asJSON bool, result Result) error {
	if asJSON {
		return printLine(w, result)
	}
	c := read(result.IDToken)
	who := c.Subject
	if c.Name != "" {
		who = c.Name + " (" + c.Subject + ")"
	}
	var text bytes.Buffer
	fmt.Fprintf(&text, "\nSigned in as %s\n", printable(who))
	fmt.Fprintf(&text, "  level (acr)                %s\n", printable(c.ACR))
	fmt.Fprintf(&text, "  methods (amr)              %s\n", printable(strings.Join(c.AMR, " ")))
	fmt.Fprintf(&text, "  code came by (mfa_channel) %s\n", printable(c.MFAChannel))
	if c.AuthTime != 0 {
		fmt.Fprintf(&text, "  when (auth_time)           %s\n", time.Unix(c.AuthTime, 0).Format(time.RFC1123))
	}
	fmt.Fprintf(&text, "\nID token\n%s\n\nUserinfo\n%s\n", indented(result.IDToken), indented(result.UserInfo))
	_, err := text.WriteTo(w)
	return err
}

// printLine writes one JSON object on one line. A reader that follows the URL sees it as soon as it is there.
func printLine(w io.Writer, value any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false) // & stays & in the URL
	return encoder.Encode(value)
}

func indented(raw json.RawMessage) string {
	var out bytes.Buffer
	if err := json.Indent(&out, raw, "", "  "); err != nil {
		return string(raw)
	}
	return out.String()
}

// printable keeps what others wrote from steering the terminal.
func printable(s string) string {
	if s == "" {
		return "not stated"
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, s)
}
