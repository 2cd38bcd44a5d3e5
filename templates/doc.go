// Package templates is the face of the product: every page a person sees, every sentence in every language, and the
// words of the SMS.
//
// A page is a Go struct with a Render method. What differs from one request to the next (language, person, token,
// correlation id) travels in a [View]; what belongs to the page are the fields of its struct. The HTML lives in pages/,
// the sentences in locales/ (one file per language), the stylesheet and the few optional scripts in static/.
//
// The package knows no handler, no record and no URL: idp/login and idp fill the structs, say where forms go, and set
// the headers. All output obeys a policy of style-src 'self' and script-src 'self': no page has an inline script, style
// or handler, and everything works with scripts off. To people we say "code"; passcode is the word inside.
package templates
