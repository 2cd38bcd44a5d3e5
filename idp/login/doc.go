// Package login is the journey of a person: password, second factor, account, consent. It receives a saved
// storage.AuthRequest from idp/oidc, moves it forward page by page, and hands the browser back to idp/oidc when nothing
// is left to ask or the answer is no. The two meet in that record alone.
//
// next.go decides the one next step from saved state. No step routes to another: every handler changes what it proved,
// in one transaction with its events, and asks Next where to go. Steps are reached in order because state says so, never
// because a URL does.
//
// It hands over to mfa for passcodes and their deliveries, to idp/session for the cookies, to idp/password for hashing,
// and to templates for every sentence.
package login
