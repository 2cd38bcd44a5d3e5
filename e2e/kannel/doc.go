// Package kannel holds tests alone: our adapter sends through a real Kannel (bearerbox, smsbox and fakesmsc from Debian's
// kannel and kannel-extras, all on loopback), texts arrive as they were written, and receipts come back. Where Kannel is
// missing the tests are skipped and say so; under PAROLA_CI they fail.
package kannel
