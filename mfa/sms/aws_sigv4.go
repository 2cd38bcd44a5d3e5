package sms

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"slices"
	"strings"
	"time"
)

// awsKeys sign requests to AWS by its Signature Version 4. It is written out here because the SDK would weigh more than
// the rest of the program that it serves; AWS's published examples are the test.
type awsKeys struct{ id, secret, session string }

// sign adds the headers that prove who sends req, all of whose headers are signed.
func (k awsKeys) sign(req *http.Request, body []byte, region, service string, at time.Time) {
	stamp := at.UTC().Format("20060102T150405Z")
	req.Header.Set("X-Amz-Date", stamp)
	if k.session != "" {
		req.Header.Set("X-Amz-Security-Token", k.session)
	}
	headers := map[string]string{"host": req.URL.Host}
	for name, values := range req.Header {
		headers[strings.ToLower(name)] = strings.TrimSpace(strings.Join(values, ","))
	}
	var names []string
	for name := range headers {
		names = append(names, name)
	}
	slices.Sort(names)
	var listed strings.Builder
	for _, name := range names {
		listed.WriteString(name + ":" + headers[name] + "\n")
	}
	path := req.URL.EscapedPath()
	if path == "" {
		path = "/"
	}
	signed := strings.Join(names, ";")
	canonical := strings.Join([]string{
		req.Method, path, strings.ReplaceAll(req.URL.Query().Encode(), "+", "%20"), listed.String(), signed, hexSHA256(body),
	}, "\n")
	scope := strings.Join([]string{stamp[:8], region, service, "aws4_request"}, "/")
	text := strings.Join([]string{"AWS4-HMAC-SHA256", stamp, scope, hexSHA256([]byte(canonical))}, "\n")

	key := []byte("AWS4" + k.secret)
	for _, part := range strings.Split(scope, "/") {
		key = hmacSHA256(key, part)
	}
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+k.id+"/"+scope+", SignedHeaders="+signed+
		", Signature="+hex.EncodeToString(hmacSHA256(key, text)))
}

func hexSHA256(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func hmacSHA256(key []byte, text string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	return mac.Sum(nil)
}
