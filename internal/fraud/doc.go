// Package fraud is the defence against SMS pumping: somebody who is paid for the messages to certain numbers has them
// sent by the hundred, and no passcode is ever entered. It judges number prefixes by how many of their messages were
// followed by a right passcode (the Conversions that internal/ledger counts), keeps its verdicts in storage for all nodes
// to see, and answers mfa's Guard question from memory before an SMS is paid for. What an operator says stands over what
// the numbers say.
//
// Judge is the whole decision, apart from clock and storage. Budgets in money, which bound the loss until a verdict is
// there, are internal/throttle's. docs/sms-pumping.md tells the defence to an operator.
package fraud
