package loadtest

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"keyflow/reports"
)

// Bounds that keep a report small whatever a server does.
const (
	maxClasses         = 64
	classOther         = "other" // counts what would be one class too many
	maxSamplesPerClass = 3
	maxText            = 200 // of what a sample expected and saw, in bytes
)

// tally counts by class.
type tally map[string]int64

// add counts one of the class and returns the class that it was counted under.
func (t tally) add(class string) string {
	if _, known := t[class]; !known && len(t) >= maxClasses {
		class = classOther
	}
	t[class]++
	return class
}

func (t tally) sum() int64 {
	var n int64
	for _, v := range t {
		n += v
	}
	return n
}

// samples keeps the first few examples of each class.
type samples map[string][]reports.Sample

func (s samples) add(class string, seq int64, expected, seen string) {
	if len(s[class]) < maxSamplesPerClass {
		s[class] = append(s[class], reports.Sample{Class: class, Seq: seq, Expected: clip(expected), Seen: clip(seen)})
	}
}

// list returns the samples in the order of classes and sequence numbers.
func (s samples) list() []reports.Sample {
	var all []reports.Sample
	for _, class := range slices.Sorted(maps.Keys(s)) {
		all = append(all, slices.SortedFunc(slices.Values(s[class]), func(a, b reports.Sample) int { return cmp.Compare(a.Seq, b.Seq) })...)
	}
	return all
}

// clip bounds a text, at the boundary of a character.
func clip(s string) string {
	if len(s) <= maxText {
		return s
	}
	return strings.ToValidUTF8(s[:maxText], "") + "…"
}
