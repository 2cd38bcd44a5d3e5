package handset

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// AWSAccount is an account with AWS End User Messaging. Without an AccessKeyID there is none.
type AWSAccount struct {
	AccessKeyID, SecretAccessKey string
	// Region defaults to eu-central-1.
	Region string
	// ConfigurationSet sends the events of its messages to the topic TopicARN.
	ConfigurationSet string
	TopicARN         string
}

// awsException is a refusal. Clients branch on the type and the reason.
type awsException struct {
	Type    string     `json:"__type"`
	Message string     `json:"Message"`
	Reason  string     `json:"Reason,omitempty"`
	Fields  []awsField `json:"Fields,omitempty"`
}

type awsField struct{ Name, Message string }

func (e awsException) write(w http.ResponseWriter) {
	status := http.StatusBadRequest
	if e.Type == "InternalServerException" {
		status = http.StatusInternalServerError
	}
	writeAWS(w, status, e)
}

func writeAWS(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

func awsInvalid(field, text string) *awsException {
	return &awsException{
		Type: "ValidationException", Message: "1 validation error", Reason: "FIELD_VALIDATION_FAILED", Fields: []awsField{{field, text}},
	}
}

// awsReasons tells which exception has a reason.
var awsReasons = map[string]string{
	"DESTINATION_PHONE_NUMBER_OPTED_OUT": "ConflictException", "DESTINATION_COUNTRY_BLOCKED": "ValidationException",
	"MONTHLY_SPEND_LIMIT_REACHED_FOR_TEXT": "ServiceQuotaExceededException",
}

// awsCall is POST /: which action is meant, a header says.
func (h *Handset) awsCall(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	action, known := strings.CutPrefix(r.Header.Get("X-Amz-Target"), "PinpointSMSVoiceV2.")
	if err != nil || !known {
		awsException{Type: "UnknownOperationException", Message: "unknown operation"}.write(w)
		return
	}
	if refusal := h.checkSigV4(r, body); refusal != nil {
		refusal.write(w)
		return
	}
	identity := h.cfg.SMSFrom
	switch action {
	case "SendTextMessage":
		h.awsSend(w, r, body)
	case "DescribeAccountAttributes":
		writeAWS(w, http.StatusOK, map[string]any{"AccountAttributes": []any{map[string]string{"Name": "ACCOUNT_TIER", "Value": "PRODUCTION"}}})
	case "DescribePhoneNumbers":
		writeAWS(w, http.StatusOK, map[string]any{"PhoneNumbers": []any{map[string]any{
			"PhoneNumber": identity, "PhoneNumberId": "phone-1", "Status": "ACTIVE", "MessageType": "TRANSACTIONAL", "NumberCapabilities": []string{"SMS"},
		}}})
	case "DescribePools", "DescribeSenderIds":
		writeAWS(w, http.StatusOK, map[string]any{strings.TrimPrefix(action, "Describe"): []any{}})
	case "DescribeConfigurationSets":
		h.awsConfigurationSets(w, body)
	default:
		awsException{Type: "UnknownOperationException", Message: "unknown operation"}.write(w)
	}
}

func (h *Handset) awsConfigurationSets(w http.ResponseWriter, body []byte) {
	var in struct{ ConfigurationSetNames []string }
	set := h.cfg.AWS.ConfigurationSet
	if json.Unmarshal(body, &in) != nil || set == "" || len(in.ConfigurationSetNames) > 0 && !slices.Contains(in.ConfigurationSetNames, set) {
		awsException{Type: "ResourceNotFoundException", Message: "Resource not found"}.write(w)
		return
	}
	writeAWS(w, http.StatusOK, map[string]any{"ConfigurationSets": []any{map[string]any{
		"ConfigurationSetName": set, "EventDestinations": []any{map[string]any{
			"EventDestinationName": "parola", "Enabled": true, "MatchingEventTypes": []string{"TEXT_ALL"},
			"SnsDestination": map[string]string{"TopicArn": h.cfg.AWS.TopicARN},
		}},
	}}})
}

type awsText struct {
	DestinationPhoneNumber string
	OriginationIdentity    string
	MessageBody            string
	MessageType            string
	ConfigurationSetName   string
	TimeToLive             *int
	Context                map[string]string
}

func (h *Handset) awsSend(w http.ResponseWriter, r *http.Request, body []byte) {
	var in awsText
	if err := json.Unmarshal(body, &in); err != nil {
		awsException{Type: "SerializationException", Message: "cannot be read"}.write(w)
		return
	}
	if refusal := h.checkAWSText(in); refusal != nil {
		refusal.write(w)
		return
	}
	switch position := h.effective(in.DestinationPhoneNumber).AWS; position {
	case "", answerLost:
		h.takeAWS(w, in, position)
	case answerTimeout:
		h.hold(r)
	case "500":
		http.Error(w, "<html>Internal Server Error</html>", http.StatusInternalServerError)
	default:
		e := awsException{Type: position, Message: "refused"}
		if exception, isReason := awsReasons[position]; isReason {
			e.Type, e.Reason = exception, position
		}
		e.write(w)
	}
}

func (h *Handset) checkAWSText(in awsText) *awsException {
	switch {
	case !numberForm.MatchString(in.DestinationPhoneNumber):
		return awsInvalid("DestinationPhoneNumber", "Invalid phone number")
	case in.MessageBody == "" || utf8.RuneCountInString(in.MessageBody) > 1600:
		return awsInvalid("MessageBody", "must have 1 to 1600 characters")
	case in.MessageType != "" && in.MessageType != "TRANSACTIONAL" && in.MessageType != "PROMOTIONAL":
		return awsInvalid("MessageType", "unknown")
	case in.TimeToLive != nil && (*in.TimeToLive < 5 || *in.TimeToLive > 259_200):
		return awsInvalid("TimeToLive", "must be 5 to 259200")
	case in.OriginationIdentity != "" && in.OriginationIdentity != h.cfg.SMSFrom && in.OriginationIdentity != "phone-1",
		in.ConfigurationSetName != "" && in.ConfigurationSetName != h.cfg.AWS.ConfigurationSet:
		return &awsException{Type: "ResourceNotFoundException", Message: "Resource not found"}
	}
	return nil
}

func (h *Handset) takeAWS(w http.ResponseWriter, in awsText, position string) {
	m := &message{
		id: newUUID(), carrier: "aws", to: in.DestinationPhoneNumber, from: cmp.Or(in.OriginationIdentity, h.cfg.SMSFrom), text: in.MessageBody,
	}
	if in.ConfigurationSetName != "" {
		m.callback = h.topicEndpoint()
		m.tell = func(m *message, i int) *report { return h.awsReport(m, i, in.Context) }
	}
	sent := h.acceptSMS(m, h.effective(m.to))
	h.answerSMS(w, position, sent, func() { writeAWS(w, http.StatusOK, map[string]string{"MessageId": m.id}) })
}

// awsReport is the notification with the event of the i-th state of a message: nil when nobody has subscribed to the topic.
func (h *Handset) awsReport(m *message, i int, context map[string]string) *report {
	if m.callback == "" {
		return nil
	}
	s := m.steps[i]
	kind, status := "TEXT_SENT", "SENT"
	switch s.State {
	case stateDelivered:
		kind, status = "TEXT_DELIVERED", "DELIVERED"
	case stateUndelivered, stateFailed:
		kind = map[int]string{30003: "TEXT_UNREACHABLE", 30005: "TEXT_INVALID", 30007: "TEXT_SPAM"}[s.Code]
		kind = cmp.Or(kind, "TEXT_CARRIER_UNREACHABLE")
		status = strings.TrimPrefix(kind, "TEXT_")
	}
	event, _ := json.Marshal(map[string]any{
		"eventType": kind, "eventVersion": "1.0", "eventTimestamp": s.At.UnixMilli(), "isFinal": s.State != stateSent,
		"originationPhoneNumber": m.from, "destinationPhoneNumber": m.to, "isoCountryCode": "IT", "messageId": m.id,
		"messageRequestTimestamp": m.steps[0].At.UnixMilli(), "messageEncoding": "GSM", "messageType": "TRANSACTIONAL",
		"messageStatus": status, "messageStatusDescription": "described", "context": context,
		"totalMessageParts": segments(m.text), "totalMessagePrice": 0.05, "totalCarrierFee": 0.003,
	})
	return h.receipt(m, i, "text/plain; charset=UTF-8", h.notification(string(event)))
}

// checkSigV4 computes AWS's Signature Version 4 again.
func (h *Handset) checkSigV4(r *http.Request, body []byte) *awsException {
	account := h.cfg.AWS
	parts := map[string]string{}
	authorization, isV4 := strings.CutPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 ")
	for part := range strings.SplitSeq(authorization, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		parts[name] = value
	}
	stamp := r.Header.Get("X-Amz-Date")
	at, err := time.Parse("20060102T150405Z", stamp)
	if !isV4 || err != nil {
		return &awsException{Type: "MissingAuthenticationTokenException", Message: "Missing Authentication Token"}
	}
	keyID, scope, _ := strings.Cut(parts["Credential"], "/")
	if account.AccessKeyID == "" || keyID != account.AccessKeyID {
		return &awsException{Type: "UnrecognizedClientException", Message: "The security token included in the request is invalid."}
	}
	if h.clock.Now().Sub(at).Abs() > 5*time.Minute || scope != stamp[:8]+"/"+cmp.Or(account.Region, "eu-central-1")+"/sms-voice/aws4_request" {
		return &awsException{Type: "InvalidSignatureException", Message: "Signature expired, or for another region or service"}
	}
	listed := ""
	for name := range strings.SplitSeq(parts["SignedHeaders"], ";") {
		value := strings.Join(r.Header.Values(name), ",")
		if name == "host" {
			value = r.Host
		}
		listed += name + ":" + strings.TrimSpace(value) + "\n"
	}
	sum := sha256.Sum256(body)
	canonical := r.Method + "\n/\n" + r.URL.Query().Encode() + "\n" + listed + "\n" + parts["SignedHeaders"] + "\n" + hex.EncodeToString(sum[:])
	hashed := sha256.Sum256([]byte(canonical))
	key := []byte("AWS4" + account.SecretAccessKey)
	for part := range strings.SplitSeq(scope, "/") {
		key = mac(key, part)
	}
	want := hex.EncodeToString(mac(key, "AWS4-HMAC-SHA256\n"+stamp+"\n"+scope+"\n"+hex.EncodeToString(hashed[:])))
	if !hmac.Equal([]byte(want), []byte(parts["Signature"])) {
		return &awsException{Type: "InvalidSignatureException", Message: "The request signature we calculated does not match the signature you provided."}
	}
	return nil
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}
