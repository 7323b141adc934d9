// Package nearest finds the valid name that somebody who misspelt one probably meant.
package nearest

import (
	"fmt"
	"slices"
	"strings"
)

// Name returns the valid name with the smallest edit distance to got, "" if none is near: a distance of more than a
// third of the longer name's length, but at least 2, is no misspelling. The first of equally near names wins.
func Name(got string, valid []string) string {
	best, bestDistance := "", -1
	for _, v := range valid {
		d := distance(strings.ToLower(got), strings.ToLower(v))
		if d <= max(2, max(len(got), len(v))/3) && (bestDistance < 0 || d < bestDistance) {
			best, bestDistance = v, d
		}
	}
	return best
}

// Hint returns what to tell somebody who used a name that is not valid: the nearest name, or else all of them.
func Hint(got string, valid []string) string {
	if n := Name(got, valid); n != "" {
		return fmt.Sprintf("did you mean %q?", n)
	}
	if len(valid) == 0 {
		return "there is none"
	}
	sorted := slices.Sorted(slices.Values(valid))
	return "valid: " + strings.Join(sorted, ", ")
}

// distance is the Levenshtein distance in bytes.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
