package sms

import (
	"bytes"
	"context"
	"net/http"
	"strconv"

	"github.com/parola-id/parola/mfa"
)

// Check looks whether Kannel takes our credentials, and at the addresses. It sends nothing. Whether the link behind
// Kannel is up cannot be asked with a sendsms-user's password.
func (k *Kannel) Check(ctx context.Context) []mfa.Finding {
	return []mfa.Finding{k.checkCredentials(ctx), k.transportFinding("Use sendsms-port-ssl, a tunnel, or a smsbox on this machine."), k.callbackFinding()}
}

// checkCredentials asks for a message to nobody: who may send is told that the receiver is missing.
func (k *Kannel) checkCredentials(ctx context.Context) mfa.Finding {
	const name = "credentials"
	answer, err := k.call(ctx, k.credentials())
	switch {
	case err != nil:
		return k.unanswered(name, 0, "")
	case answer.Status == http.StatusBadRequest && bytes.HasPrefix(answer.Body, []byte("Missing receiver")):
		return k.good(name, "accepted")
	case answer.Status == http.StatusForbidden && bytes.HasPrefix(answer.Body, []byte("Authorization failed")):
		return k.bad(name, "kannel does not accept them from this machine",
			"Check username and password of the sendsms-user, and that its user-allow-ip has the address of this machine.")
	default:
		return k.bad(name, "whoever answered "+strconv.Itoa(answer.Status)+" is not sendsms",
			"Check the URL: sendsms-port and sendsms-url of group smsbox; the path is /cgi-bin/sendsms unless set.")
	}
}
