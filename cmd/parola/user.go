package main

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/parola-id/parola/internal/app"
	"github.com/parola-id/parola/storage"
)

type userCommands struct {
	Add         userAdd         `cmd:"" help:"Add a person."`
	List        userList        `cmd:"" help:"List people by user name."`
	Show        userShow        `cmd:"" help:"Show one person."`
	SetPassword userSetPassword `cmd:"" help:"Set a new password and sign the person out everywhere."`
	SetPhone    userSetPhone    `cmd:"" help:"Bind a phone in place of the one there is."`
	Unlock      userUnlock      `cmd:"" help:"Forget wrong passwords and passcodes, so that the person can try again."`
	ForgetWA    userForgetWA    `cmd:"" name:"forget-whatsapp" help:"Let a changed WhatsApp account of a person be bound anew."`
	Disable     userDisable     `cmd:"" help:"Keep a person out at once."`
	Enable      userEnable      `cmd:"" help:"Let a disabled person sign in again."`
	Import      userImport      `cmd:"" help:"Add the people of a JSON file."`
	Export      userExport      `cmd:"" help:"Print everything that is kept of a person."`
	Erase       userErase       `cmd:"" help:"Remove everything about a person, for ever."`
}

// passwordSource says where a password comes from. It is never an argument: those end in histories and process lists.
type passwordSource struct {
	PasswordStdin bool `help:"Read the password from standard input; otherwise one is generated and shown once."`
}

// maxPasswordInput bounds what is read from standard input; longer passwords are refused anyway.
const maxPasswordInput = 4096

// password reads or generates a password.
func (p passwordSource) password(c *invocation) (clear string, generated bool, err error) {
	if !p.PasswordStdin {
		return generatePassword(), true, nil
	}
	text, err := io.ReadAll(io.LimitReader(c.stdin, maxPasswordInput+1))
	if err != nil {
		return "", false, fmt.Errorf("read password: %w", err)
	}
	clear = strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r")
	switch {
	case clear == "":
		return "", false, misuse("no password on standard input")
	case len(text) > maxPasswordInput || strings.ContainsAny(clear, "\r\n"):
		return "", false, misuse("standard input holds more than one line of a password")
	}
	return clear, false, nil
}

// generatePassword returns 100 random bits in groups that can be read out.
func generatePassword() string {
	var b [15]byte
	rand.Read(b[:])
	text := base32.NewEncoding("abcdefghijkmnpqrstuvwxyz23456789").WithPadding(base32.NoPadding).EncodeToString(b[:])
	return text[:5] + "-" + text[5:10] + "-" + text[10:15] + "-" + text[15:20]
}

type userAdd struct {
	Username      string            `arg:"" help:"User name; case and width do not matter."`
	Phone         string            `placeholder:"NUMBER" help:"Mobile number with its country code."`
	PhoneVerified bool              `help:"You vouch that the number is this person's. No passcode goes to a number that nobody has proved."`
	Name          string            `help:"Full name."`
	Email         string            `placeholder:"ADDRESS" help:"E-mail address."`
	EmailVerified bool              `help:"You vouch that the address is this person's."`
	Locale        string            `placeholder:"TAG" help:"Language, like it or pt-BR."`
	Claim         map[string]string `placeholder:"NAME=VALUE" mapsep:"none" help:"Any other OpenID claim that is a text, like given_name=Ada. May be repeated."`
	SMSForbidden  bool              `name:"no-sms" help:"Never send this person a passcode by SMS."`
	passwordSource
	asJSON
}

// Help teaches.
func (userAdd) Help() string {
	return `Without --password-stdin a password is generated and shown once.

Examples:

    parola user add ada --phone "+39 347 123 4567" --phone-verified --name "Ada Lovelace" --email ada@example.com
    pass show ada | parola user add ada --password-stdin --phone "+39 347 123 4567" --phone-verified

Next: the person can sign in to any client at once. Without a verified phone they cannot: parola user set-phone ada "+39 …" --verified.`
}

// Run adds.
func (cmd userAdd) Run(c *invocation) error {
	clear, generated, err := cmd.password(c)
	if err != nil {
		return err
	}
	claims := app.Claims{}
	for name, value := range cmd.Claim {
		claims[name] = value
	}
	for name, value := range map[string]string{"name": cmd.Name, "email": cmd.Email, "locale": cmd.Locale} {
		if value != "" {
			claims[name] = value
		}
	}
	if cmd.EmailVerified {
		claims["email_verified"] = true
	}
	if cmd.PhoneVerified && cmd.Phone == "" {
		return misuse("--phone-verified needs --phone")
	}
	return c.withBase(func(ctx context.Context, b *app.Base) error {
		p, err := b.AddUser(ctx, app.NewUser{
			Username: cmd.Username, Password: clear, Phone: cmd.Phone, PhoneVerified: cmd.PhoneVerified,
			Claims: claims, SMSForbidden: cmd.SMSForbidden,
		})
		if err != nil {
			return err
		}
		if cmd.JSON {
			out := map[string]string{"sub": p.ID, "username": p.Username}
			if generated {
				out["password"] = clear
			}
			return c.printJSON(out)
		}
		c.printf("added %s (sub %s)\n", p.Username, p.ID)
		if generated {
			c.printf("password: %s   (shown once)\n", clear)
		}
		if cmd.Phone == "" || !cmd.PhoneVerified {
			c.printf("next: %s cannot sign in before a phone is verified: parola user set-phone %s \"+CC …\" --verified\n", p.Username, p.Username)
		}
		return nil
	})
}

type userList struct {
	Prefix string `help:"Only user names that begin so."`
	After  string `placeholder:"NAME" help:"Continue after this user name."`
	Limit  int    `default:"100" help:"At most so many, up to 1000."`
	asJSON
}

// Help teaches.
func (userList) Help() string {
	return `Phone numbers are masked.

Example:

    parola user list --prefix ad --json

Next: parola user show NAME; for more than --limit, parola user list --after LAST.`
}

// Run lists.
func (cmd userList) Run(c *invocation) error {
	if err := within("--limit", cmd.Limit, 1000); err != nil {
		return err
	}
	return c.withBase(func(ctx context.Context, b *app.Base) error {
		users, err := b.Users(ctx, storage.PersonFilter{Prefix: cmd.Prefix, After: cmd.After, Limit: cmd.Limit})
		if err != nil {
			return err
		}
		if cmd.JSON {
			return c.printJSON(users)
		}
		rows := [][]string{{"USERNAME", "SUB", "NAME", "PHONE", "STATE"}}
		for _, u := range users {
			name, _ := u.Claims["name"].(string)
			rows = append(rows, []string{u.Username, u.ID, name, phoneWords(u.Phone), u.State})
		}
		return c.table(rows)
	})
}

// within checks a count that a flag gives.
func within(flag string, n, most int) error {
	if n < 1 || n > most {
		return misuse("%s must be between 1 and %d", flag, most)
	}
	return nil
}

func phoneWords(p *app.Phone) string {
	switch {
	case p == nil:
		return ""
	case !p.DisabledAt.IsZero():
		return p.Number + " (disabled)"
	case p.VerifiedAt.IsZero():
		return p.Number + " (not verified)"
	}
	return p.Number
}

type userShow struct {
	User   string `arg:"" help:"User name or sub."`
	Reveal bool   `help:"Show the whole phone number. Needs --reason; both are written to the audit log."`
	Reason string `placeholder:"TEXT" help:"Why the number must be seen."`
	asJSON
}

// Help teaches.
func (userShow) Help() string {
	return `The phone number is masked unless --reveal and --reason are given.

Examples:

    parola user show ada
    parola user show ada --reveal --reason "caller asks which number is on file, ticket 4711"

Next: parola session list ada; parola audit list --user ada.`
}

// shownUser is a user with the number when it was revealed.
type shownUser struct {
	app.User
	Revealed string `json:"phone_number,omitempty"`
}

// Run shows.
func (cmd userShow) Run(c *invocation) error {
	if cmd.Reveal != (cmd.Reason != "") {
		return misuse("--reveal and --reason go together")
	}
	return c.withBase(func(ctx context.Context, b *app.Base) error {
		u, err := b.User(ctx, cmd.User)
		if err != nil {
			return err
		}
		shown := shownUser{User: u}
		if cmd.Reveal {
			if shown.Revealed, err = b.RevealPhone(ctx, u.ID, cmd.Reason); err != nil {
				return err
			}
		}
		if cmd.JSON {
			return c.printJSON(shown)
		}
		return c.table(shown.rows())
	})
}

func (u shownUser) rows() [][]string {
	state := u.State
	if u.State == "disabled" {
		state += " since " + when(u.DisabledAt)
	}
	rows := [][]string{
		{"username", u.Username}, {"sub", u.ID}, {"state", state}, {"password", yesNo(u.Password)},
		{"phone", phoneWords(u.Phone)},
	}
	if u.Revealed != "" {
		rows = append(rows, []string{"phone number", u.Revealed})
	}
	if p := u.Phone; p != nil {
		rows = append(rows, []string{"phone verified", when(p.VerifiedAt)}, []string{"phone last used", when(p.LastUsedAt)},
			[]string{"wrong passcodes", fmt.Sprintf("%d in a row", p.Failures)})
		if !p.NoWhatsAppUntil.IsZero() {
			rows = append(rows, []string{"no WhatsApp", "not tried again before " + when(p.NoWhatsAppUntil)})
		}
	}
	rows = append(rows, []string{"SMS", map[bool]string{false: "allowed", true: "forbidden"}[u.SMSForbidden]},
		[]string{"open sessions", fmt.Sprint(u.OpenSessions)},
		[]string{"created", when(u.CreatedAt)}, []string{"changed", when(u.UpdatedAt)})
	for _, name := range slices.Sorted(maps.Keys(u.Claims)) {
		rows = append(rows, []string{name, fmt.Sprint(u.Claims[name])})
	}
	return rows
}
