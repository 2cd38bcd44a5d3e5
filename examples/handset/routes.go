package handset

import (
	"embed"
	"io/fs"
	"net/http"
)

//go:embed static
var static embed.FS

// routes lists every URL but those of the Graph API, which manage_routes.go has.
func (h *Handset) routes() http.Handler {
	carriers := http.NewServeMux()
	carriers.HandleFunc("POST /2010-04-01/Accounts/{sid}/Messages.json", h.twilioMessages)
	carriers.HandleFunc("GET /2010-04-01/Accounts/{sid}/Messages/{message}", h.twilioMessage)
	carriers.HandleFunc("GET /2010-04-01/Accounts/"+h.cfg.AccountSID+".json", h.twilioAccount)
	carriers.HandleFunc("GET /2010-04-01/Accounts/{sid}/Balance.json", h.twilioBalance)
	carriers.HandleFunc("GET /2010-04-01/Accounts/{sid}/IncomingPhoneNumbers.json", h.twilioNumbers)
	carriers.HandleFunc("POST /sms/json", h.vonageMessages)
	carriers.HandleFunc("GET /account/get-balance", h.vonageBalance)
	carriers.HandleFunc("GET /account/numbers", h.vonageNumbers)
	carriers.HandleFunc("POST /sms/3/messages", h.infobipMessages)
	carriers.HandleFunc("GET /account/1/balance", h.infobipBalance)
	carriers.HandleFunc("POST /{$}", h.awsCall)
	carriers.HandleFunc("GET /sns/{certificate}", h.snsCertificate)
	carriers.HandleFunc("GET /sns", h.snsConfirm)
	carriers.HandleFunc("GET /cgi-bin/sendsms", h.kannelSend)
	carriers.HandleFunc("POST /gateway/messages", h.gatewayMessages)
	carriers.HandleFunc("GET /gateway/balance", h.gatewayBalance)

	person := http.NewServeMux()
	person.HandleFunc("GET /inbox", h.getInbox)
	person.HandleFunc("DELETE /inbox", h.deleteInbox)
	person.HandleFunc("GET /sent", h.getSent)
	person.HandleFunc("POST /read", h.postRead)
	person.HandleFunc("POST /button", h.postButton)
	person.HandleFunc("GET /switches", h.getSwitches)
	person.HandleFunc("PUT /switches", h.putSwitches)
	person.HandleFunc("PATCH /switches", h.patchSwitches)
	person.HandleFunc("DELETE /switches", h.deleteSwitches)
	person.HandleFunc("GET /meta", h.getMeta)
	person.HandleFunc("PATCH /meta", h.patchMeta)
	person.HandleFunc("PATCH /meta/templates", h.patchTemplates)
	person.HandleFunc("DELETE /meta", h.deleteMeta)
	person.HandleFunc("POST /identity", h.postIdentity)
	person.HandleFunc("GET /emit", h.getEmit)
	person.HandleFunc("POST /emit", h.postEmit)
	person.HandleFunc("GET /events", h.getEvents)
	person.HandleFunc("GET /{$}", file("index.html", "text/html; charset=utf-8"))
	person.HandleFunc("GET /api", file("api.txt", "text/plain; charset=utf-8"))
	person.HandleFunc("GET /handset.css", file("handset.css", "text/css; charset=utf-8"))
	person.HandleFunc("GET /handset.js", file("handset.js", "text/javascript; charset=utf-8"))
	person.HandleFunc("GET /icon.svg", file("icon.svg", "image/svg+xml"))

	// A web page of somebody else must neither throw a switch nor be laid over the phone. The carriers' side has no use for
	// this: it has tokens.
	carriers.Handle("/", http.NewCrossOriginProtection().Handler(withHeaders(person)))
	return h.graphFirst(carriers)
}

func withHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "+
			"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// file serves one embedded file.
func file(name, contentType string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		content, err := fs.ReadFile(static, "static/"+name)
		if err != nil {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", contentType)
		_, _ = w.Write(content)
	}
}
