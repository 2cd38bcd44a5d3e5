// Package e2e holds the tests of Parola from outside: the demo as the README tells it, every switch of the handset, every
// carrier and its failures, what Meta says of the account, attacks on the bill, kills in the middle of a login, races over
// HTTP, bad input and bad days, what a login costs, and the benchmarks. The means are in
// [github.com/parola-id/parola/e2e/harness].
package e2e
