// Package check is the one program that says whether Parola kept its promises: it reads the tables of a database, the event
// log in it, what the carriers saw and what people and clients were told, and holds them against each other. The programs
// that break things (bench/storm, bench/kills, the fault tests of e2e) all end with it.
//
// It has its own SQL and states the rules in its own words: of the provider it knows the names of columns, states and kinds
// of events, and no code. So a mistake in a query of the provider does not hide itself here.
//
// Some invariants hold at every instant, in the middle of everything ([Record.AtOnce]); others once nothing is due any more
// ([Record.Over]). [Invariants] lists them all.
package check
