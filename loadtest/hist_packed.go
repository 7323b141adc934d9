package loadtest

import (
	"errors"
	"fmt"

	hdr "github.com/HdrHistogram/hdrhistogram-go"
)

// maxCount bounds what is read of one histogram, so that no sum of them can overflow.
const maxCount = 1 << 40

// newPacked returns a sparse histogram: slower to record into, small where there are few different values.
func newPacked() *hdr.PackedHistogram {
	return hdr.NewPacked(1, HistogramMax.Microseconds(), histogramDigits)
}

// encodePacked is [histogram.encode] for a sparse histogram.
func encodePacked(p *hdr.PackedHistogram) (string, error) {
	if p.TotalCount() == 0 {
		return "", nil
	}
	b, err := p.EncodeV2()
	if err != nil {
		return "", fmt.Errorf("encode histogram: %w", err)
	}
	return string(b), nil
}

// decodePacked decodes a histogram of this package's geometry; any other would not merge without loss. "" is an empty one.
func decodePacked(encoded string) (*hdr.PackedHistogram, error) {
	if encoded == "" {
		return newPacked(), nil
	}
	p, err := hdr.DecodePacked([]byte(encoded))
	if err != nil {
		return nil, fmt.Errorf("decode histogram: %w", err)
	}
	if p.LowestTrackableValue() != 1 || p.HighestTrackableValue() != HistogramMax.Microseconds() || p.SignificantFigures() != histogramDigits {
		return nil, errors.New("decode histogram: it has another geometry")
	}
	if p.TotalCount() > maxCount {
		return nil, errors.New("decode histogram: it holds too many values")
	}
	return p, nil
}

// mergeEncoded merges two encoded histograms without unfolding them.
func mergeEncoded(a, b string) (string, error) {
	if b == "" {
		return a, nil
	}
	to, err := decodePacked(a)
	if err != nil {
		return "", err
	}
	from, err := decodePacked(b)
	if err != nil {
		return "", err
	}
	if dropped := to.Merge(from); dropped > 0 {
		return "", fmt.Errorf("merge histograms: %d values are out of range", dropped)
	}
	return encodePacked(to)
}
