// Package rates knows what a message costs: rate cards are dated data, one per carrier and first day, with a price per
// country. The Book answers mfa's Prices question from memory, from the cards in storage and, for what no card names, from
// the planning figures in default.csv, which are high rather than low. An answer is never zero: budgets are counted in it.
//
// Cards are parsed strictly, in CSV or JSON, and replaced by an operator's command with an audit event.
package rates
