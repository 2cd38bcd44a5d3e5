package sms

import (
	"testing"

	"github.com/parola-id/parola/mfa"
)

func FuzzAWSEvent(f *testing.F) {
	f.Add([]byte(`{"eventType":"TEXT_DELIVERED","eventTimestamp":1789387380000,"messageId":"theirs","context":{"delivery":"ours"}}`))
	f.Add([]byte(`{"eventType":"TEXT_BLOCKED","context":{"delivery":7}}`))
	f.Add([]byte(`{"eventTimestamp":9223372036854775807,"eventType":"TEXT_SENT"}`))
	a := &AWS{carrier: newCarrier("aws", Config{}, AWSCodes())}
	f.Fuzz(func(t *testing.T, message []byte) {
		r, worth := a.readEvent(message)
		if !worth && r != (mfa.Report{}) || worth && (r.Status == mfa.StatusFailed) != (r.Failure.Code != "") {
			t.Fatalf("got %+v, %v", r, worth)
		}
	})
}
