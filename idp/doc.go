// Package idp is the provider as one http.Handler. routes.go lists every URL; the middleware around them knows who is
// asking, bounds what they may send and sets the headers every answer carries. The rooms below do the work: oidc speaks
// the protocol, login leads a person through the pages, session knows signed-in browsers, signing and password are what
// their names say. oidc and login never meet: each finds the other's URL here.
package idp
