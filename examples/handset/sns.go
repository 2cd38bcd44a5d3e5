package handset

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"strings"
	"sync"
	"time"
)

// topic is AWS's SNS with one topic and one subscriber. Its key is made when it is first needed.
type topic struct {
	once sync.Once
	key  *rsa.PrivateKey
	cert []byte // PEM

	mu        sync.Mutex
	base      string // the handset's own address
	endpoint  string
	token     string
	confirmed bool
}

const snsCertificateName = "SimpleNotificationService-0123456789abcdef.pem"

func (t *topic) make(now time.Time) {
	t.once.Do(func() {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			return
		}
		template := &x509.Certificate{
			SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "sns.amazonaws.com"},
			NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(1, 0, 0),
		}
		der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
		if err != nil {
			return
		}
		t.key, t.cert = key, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	})
}

// SubscribeTopic subscribes endpoint to AWS's topic, instead of whoever was: it is asked, at once, whether it wants that.
// handsetURL is where the handset itself is served: certificates and confirmations are there.
func (h *Handset) SubscribeTopic(ctx context.Context, handsetURL, endpoint string) error {
	if err := checkURL(endpoint); err != nil {
		return err
	}
	token := rand.Text()
	h.topic.mu.Lock()
	h.topic.base, h.topic.endpoint, h.topic.token, h.topic.confirmed = strings.TrimSuffix(handsetURL, "/"), endpoint, token, false
	h.topic.mu.Unlock()
	body := h.sns("SubscriptionConfirmation", map[string]string{
		"Message": "You have chosen to subscribe to the topic.", "Token": token,
		"SubscribeURL": handsetURL + "/sns?Action=ConfirmSubscription&TopicArn=" + h.cfg.AWS.TopicARN + "&Token=" + token,
	})
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "text/plain; charset=UTF-8")
	resp, err := h.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if h.topicEndpoint() == "" {
		return fmt.Errorf("handset: the endpoint answered %d and did not confirm the subscription", resp.StatusCode)
	}
	return nil
}

// topicEndpoint is the confirmed subscriber, if any.
func (h *Handset) topicEndpoint() string {
	h.topic.mu.Lock()
	defer h.topic.mu.Unlock()
	if !h.topic.confirmed {
		return ""
	}
	return h.topic.endpoint
}

// notification wraps a message as SNS does.
func (h *Handset) notification(text string) []byte {
	return h.sns("Notification", map[string]string{"Message": text})
}

// sns writes a signed message (SignatureVersion 2).
func (h *Handset) sns(kind string, m map[string]string) []byte {
	h.topic.make(h.clock.Now())
	h.topic.mu.Lock()
	base := h.topic.base
	h.topic.mu.Unlock()
	m["Type"], m["MessageId"], m["TopicArn"] = kind, newUUID(), h.cfg.AWS.TopicARN
	m["Timestamp"] = h.clock.Now().UTC().Format("2006-01-02T15:04:05.000Z")
	text := ""
	for _, name := range []string{"Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"} {
		if value, there := m[name]; there {
			text += name + "\n" + value + "\n"
		}
	}
	sum := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(nil, h.topic.key, crypto.SHA256, sum[:])
	if err != nil {
		h.cfg.Log.Error("sign notification", "err", err)
	}
	m["SignatureVersion"], m["Signature"] = "2", base64.StdEncoding.EncodeToString(signature)
	m["SigningCertURL"] = base + "/sns/" + snsCertificateName
	if kind == "Notification" {
		m["UnsubscribeURL"] = base + "/sns?Action=Unsubscribe"
	}
	body, _ := json.Marshal(m)
	return body
}

// snsCertificate is GET /sns/{certificate}.
func (h *Handset) snsCertificate(w http.ResponseWriter, r *http.Request) {
	if r.PathValue("certificate") != snsCertificateName {
		http.NotFound(w, r)
		return
	}
	h.topic.make(h.clock.Now())
	w.Header().Set("Content-Type", "application/x-pem-file")
	_, _ = w.Write(h.topic.cert)
}

// snsConfirm is GET /sns?Action=ConfirmSubscription, the address that a confirmation names.
func (h *Handset) snsConfirm(w http.ResponseWriter, r *http.Request) {
	h.topic.mu.Lock()
	defer h.topic.mu.Unlock()
	q := r.URL.Query()
	if q.Get("Action") != "ConfirmSubscription" || h.topic.token == "" || q.Get("Token") != h.topic.token {
		refuse(w, http.StatusBadRequest, errors.New("no such subscription"))
		return
	}
	h.topic.confirmed = true
	w.Header().Set("Content-Type", "text/xml")
	_, _ = w.Write([]byte("<ConfirmSubscriptionResponse/>"))
}
