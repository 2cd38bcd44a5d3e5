// Package ledger reckons what messages cost and what became of them. Nobody counts while a login goes on: one leased
// Worker reads the sealed audit log from a cursor and adds rolled-up rows to storage (DeliveryDays for reports, Conversions
// for the defence against SMS pumping in internal/fraud), moving the cursor in the same transaction, so that each event
// counts once, whatever is killed. Read makes a Report of the rows and writes it as a table, CSV or JSON.
//
// tally is the whole arithmetic, apart from clock and storage; times are kept as geometric histograms (Bucket, Quantile).
// internal/audit/kinds.go lists the events it reads.
package ledger
