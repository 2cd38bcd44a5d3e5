// Package oidc says everything OpenID Connect says: the authorization, token, userinfo, introspection, revocation and
// logout endpoints, discovery, the claims in tokens, and which error leaves by which door. It is the only package that
// imports fosite, which parses requests and runs the grants; what fosite 0.49.0 gets wrong is closed here, each gap
// with a test that names its number (Appendix A of the security requirements).
//
// An authorization request is checked, saved as a storage.AuthRequest and handed over to idp/login by a redirect to
// Config.LoginPath. idp/login brings the browser back to /authorize/resume when nothing is left to ask; this package
// then believes saved state alone, issues the AuthCode and answers the client. It knows no page: sentences for people
// are behind the Pages interface, and the signed-in browser is behind Sessions.
package oidc
