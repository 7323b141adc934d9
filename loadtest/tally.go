package loadtest

import (
	"cmp"
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
func (t tally) add(class string) string { return t.addN(class, 1) }

// addN counts n of the class.
func (t tally) addN(class string, n int64) string {
	if _, known := t[class]; !known && len(t) >= maxClasses {
		class = classOther
	}
	t[class] += n
	return class
}

// count adds one to a class in a map that is made when it is needed.
func count(m *map[string]int64, class string) {
	if *m == nil {
		*m = map[string]int64{}
	}
	(*m)[class]++
}

func (t tally) sum() int64 {
	var n int64
	for _, v := range t {
		n += v
	}
	return n
}

// samples keeps the first few examples of each class in each share.
type samples struct {
	shares  []Share // of a mix; none: there is only one
	ledger  *ledger // is told of each
	witness *witness
	kept    map[sampleKey][]reports.Sample
}

type sampleKey struct {
	class string
	share int
}

func newSamples(shares []Share) samples {
	s := samples{kept: map[sampleKey][]reports.Sample{}}
	if len(shares) > 1 {
		s.shares = shares
	}
	return s
}

// add keeps an example; f is the flight that it is of, nil if that is not there any more.
func (s samples) add(class string, share int, seq int64, expected, seen string, f *flight) {
	key := sampleKey{class, share}
	if len(s.kept[key]) >= maxSamplesPerClass {
		return
	}
	sample := reports.Sample{Class: class, Seq: seq, Expected: clip(expected), Seen: clip(seen)}
	if s.shares != nil {
		of := &s.shares[share]
		sample.Profile, sample.Operation, sample.Asset = of.Profile.ID, of.label(), of.Asset
	}
	s.ledger.sample(sample) // without evidence: that is written with the report
	s.witness.testify(f, &sample)
	s.kept[key] = append(s.kept[key], sample)
}

// list returns the samples in the order of classes and sequence numbers.
func (s samples) list() []reports.Sample {
	var all []reports.Sample
	for _, kept := range s.kept {
		all = append(all, kept...)
	}
	slices.SortFunc(all, func(a, b reports.Sample) int { return cmp.Or(cmp.Compare(a.Class, b.Class), cmp.Compare(a.Seq, b.Seq)) })
	return all
}

// clip bounds a text, at the boundary of a character.
func clip(s string) string {
	if len(s) <= maxText {
		return s
	}
	return strings.ToValidUTF8(s[:maxText], "") + "…"
}
