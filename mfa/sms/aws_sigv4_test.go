package sms

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// AWS's published examples ("aws-sig-v4-test-suite").
func TestAWSSignatureVersion4(t *testing.T) {
	at := time.Date(2015, 8, 30, 12, 36, 0, 0, time.UTC)
	for _, tt := range []struct {
		name, method, target, contentType, body, want string
	}{
		{"get-vanilla", "GET", "https://example.amazonaws.com/", "", "", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
		{"post-vanilla", "POST", "https://example.amazonaws.com/", "", "", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
		{"post-x-www-form-urlencoded", "POST", "https://example.amazonaws.com/", "application/x-www-form-urlencoded", "Param1=value1",
			"ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"},
		{"get-vanilla-query-order-key-case", "GET", "https://example.amazonaws.com/?Param2=value2&Param1=value1", "", "",
			"b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			req, err := http.NewRequest(tt.method, tt.target, strings.NewReader(tt.body))
			if err != nil {
				t.Fatal(err)
			}
			if tt.contentType != "" {
				req.Header.Set("Content-Type", tt.contentType)
			}
			keys := awsKeys{id: "AKIDEXAMPLE", secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"}
			keys.sign(req, []byte(tt.body), "us-east-1", "service", at)
			_, got, _ := strings.Cut(req.Header.Get("Authorization"), "Signature=")
			if got != tt.want || !strings.Contains(req.Header.Get("Authorization"), "Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, ") {
				t.Errorf("got %s", req.Header.Get("Authorization"))
			}
		})
	}
}

func TestAWSSessionTokenIsSigned(t *testing.T) {
	req, err := http.NewRequest(http.MethodPost, "https://sms-voice.eu-central-1.amazonaws.com/", nil)
	if err != nil {
		t.Fatal(err)
	}
	awsKeys{id: "ASIAEXAMPLE", secret: "secret", session: "session token"}.sign(req, nil, "eu-central-1", awsService, time.Unix(1_790_000_000, 0))
	if req.Header.Get("X-Amz-Security-Token") != "session token" ||
		!strings.Contains(req.Header.Get("Authorization"), "SignedHeaders=host;x-amz-date;x-amz-security-token, ") {
		t.Errorf("got %v", req.Header)
	}
}
