package sqlstore

import (
	"encoding/hex"
	"fmt"
	"strings"
)

// Rows that belong to one statement travel as one JSON parameter, an array of arrays. The text is then the same for any
// number of rows, so that each database prepares it once and has no limit on parameters to run into; the SQLite driver,
// which looks for each parameter among all of them, would take quadratic time for a long list.

// given is a query for the rows in the JSON parameter. A column is its name, and its type when it is not TEXT: "due BIGINT".
func (d Dialect) given(parameter string, columns ...string) string {
	var b strings.Builder
	for i, column := range columns {
		b.WriteString([2]string{", ", "SELECT "}[btoi(i == 0)])
		value := "value ->> " + number(i)
		name, kind, _ := strings.Cut(column, " ")
		switch kind {
		case "":
		case "BYTEA":
			value = fmt.Sprintf(d.Unhex, value)
		default:
			value = "CAST(" + value + " AS " + kind + ")"
		}
		b.WriteString(value + " AS " + name)
	}
	elements := d.Elements + "(" + parameter + ")"
	if len(columns) > 1 {
		// SQLite writes an element as text each time its value is named; like this it does so once.
		elements = "(WITH elements AS MATERIALIZED (SELECT value FROM " + elements + ") SELECT value FROM elements) AS every_element"
	}
	return b.String() + " FROM " + elements
}

// cells are the values of one row: strings, numbers, booleans, bytes or nil.
type cells []any

// rowsText encodes rows for given.
func rowsText(rows []cells) string {
	if len(rows) == 0 {
		return "[]"
	}
	for _, row := range rows {
		for i, cell := range row {
			if b, is := cell.([]byte); is {
				row[i] = any(nil)
				if len(b) > 0 {
					row[i] = hex.EncodeToString(b)
				}
			}
		}
		clean(row)
	}
	return jsonText(rows)
}

// listText encodes values for a given with one column.
func listText[S ~string](values []S) string {
	rows := make([]cells, len(values))
	for i, value := range values {
		rows[i] = cells{string(value)}
	}
	return rowsText(rows)
}

// among is a condition: the column is one of the values in the JSON parameter.
func (d Dialect) among(column, parameter string) string {
	return column + " " + d.in(d.given(parameter, "key"))
}

// in is the second half of such a condition, for a query of one column.
func (d Dialect) in(query string) string { return fmt.Sprintf(d.Among, query) }
