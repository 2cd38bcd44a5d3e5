package oidc

import (
	"slices"
	"strings"
)

// words splits a space-separated list and drops repetitions.
func words(list string) []string {
	var unique []string
	for word := range strings.SplitSeq(list, " ") {
		if word != "" && !slices.Contains(unique, word) {
			unique = append(unique, word)
		}
	}
	return unique
}
