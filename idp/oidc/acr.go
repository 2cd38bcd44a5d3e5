package oidc

import (
	"encoding/json"
	"slices"

	"github.com/parola-id/parola/internal/acr"
	"github.com/parola-id/parola/storage"
)

// requestedClaims is what of the claims parameter (Core §5.5) changes the answer: the acr that the ID token must or
// should have, and the subject it must be about. Other claims follow from scopes; those asked for one by one are
// voluntary and may be left out (Core §5.5.1).
type requestedClaims struct {
	acr       []string
	essential bool
	subject   string
}

// parseClaims reads the claims parameter. It must be a JSON object; members that mean nothing here are ignored.
func parseClaims(text string) (requestedClaims, error) {
	malformed := refuse(errInvalidRequest, "claims is not the JSON object of OpenID Connect Core section 5.5")
	parameter, err := strictObject([]byte(text))
	if err != nil {
		return requestedClaims{}, malformed
	}
	var idToken map[string]json.RawMessage
	if raw, asked := parameter["id_token"]; asked && json.Unmarshal(raw, &idToken) != nil {
		return requestedClaims{}, malformed
	}
	var class struct {
		Essential bool     `json:"essential"`
		Value     string   `json:"value"`
		Values    []string `json:"values"`
	}
	if raw, asked := idToken["acr"]; asked && json.Unmarshal(raw, &class) != nil {
		return requestedClaims{}, malformed
	}
	var subject struct {
		Value string `json:"value"`
	}
	if raw, asked := idToken["sub"]; asked && json.Unmarshal(raw, &subject) != nil {
		return requestedClaims{}, malformed
	}
	if class.Value != "" {
		class.Values = append(class.Values, class.Value)
	}
	return requestedClaims{acr: class.Values, essential: class.Essential, subject: subject.Value}, nil
}

// checkReachable refuses a request whose essential or client-required acr no login of this release can have (OA-73):
// before anybody types a password, and before a passcode is sent.
func checkReachable(c storage.Client, params storage.AuthRequestParams) error {
	if !acr.Reachable(c.RequiredACR) || len(params.EssentialACR) > 0 && !slices.ContainsFunc(params.EssentialACR, acr.Reachable) {
		return refuse(errUnmetAuthRequirements, "the required acr cannot be met")
	}
	return nil
}

// acrMet says whether a login of class have is enough for the client and the request.
func acrMet(have string, c storage.Client, params storage.AuthRequestParams) bool {
	return acr.Satisfies(have, c.RequiredACR) && acr.SatisfiesAny(have, params.EssentialACR)
}
