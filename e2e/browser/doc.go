// Package browser holds tests alone: a person signs in at the demo with a real browser, with JavaScript and without;
// every page they meet is measured against WCAG 2.2 AA, and watched for errors on its console, which is where a browser
// reports what the Content-Security-Policy stopped.
//
// The tests need Chromium, and axe-core by npm; without them they are skipped and say so, under PAROLA_CI they fail.
// What happens behind the pages is told by the tests of package e2e, which need neither.
//
//	PAROLA_SCREENSHOTS=dir go test ./e2e/browser -run Accessible   # every page as a PNG, to be looked at
package browser
