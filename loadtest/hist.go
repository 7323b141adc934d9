package loadtest

import (
	"fmt"
	"time"

	hdr "github.com/HdrHistogram/hdrhistogram-go"

	"keyflow/reports"
)

// Every histogram of a run has the same geometry, so that those of seconds, operations and generators merge without
// loss: whole microseconds from 0 to [HistogramMax] with three significant digits.
const (
	HistogramMax    = time.Hour
	histogramDigits = 3
)

// histogram records times.
type histogram struct {
	h      *hdr.Histogram
	beyond int64 // times above HistogramMax, recorded as HistogramMax
}

func newHistogram() *histogram {
	return &histogram{h: hdr.New(1, HistogramMax.Microseconds(), histogramDigits)}
}

// record adds a time; one out of range is clamped, never dropped.
func (h *histogram) record(d time.Duration) error {
	if d > HistogramMax {
		h.beyond++
	}
	return h.h.RecordValue(micros(d))
}

// micros is a time as histograms hold it.
func micros(d time.Duration) int64 { return max(min(d, HistogramMax).Microseconds(), 0) }

// merge adds an encoded histogram.
func (h *histogram) merge(encoded string) error {
	p, err := decodePacked(encoded)
	if err != nil {
		return err
	}
	if dropped := p.MergeInto(h.h); dropped > 0 {
		return fmt.Errorf("merge histograms: %d values are out of range", dropped)
	}
	return nil
}

// encode returns the lossless V2 encoding, compressed and in base64, or "" for an empty histogram.
func (h *histogram) encode() (string, error) {
	if h.h.TotalCount() == 0 {
		return "", nil
	}
	b, err := h.h.EncodeV2()
	if err != nil {
		return "", fmt.Errorf("encode histogram: %w", err)
	}
	return string(b), nil
}

// percentiles summarises the histogram and encodes it.
func (h *histogram) percentiles() (reports.Percentiles, error) {
	if h.h.TotalCount() == 0 {
		return reports.Percentiles{}, nil
	}
	encoded, err := h.encode()
	if err != nil {
		return reports.Percentiles{}, err
	}
	v := h.h.ValueAtPercentilesSlice([]float64{50, 90, 95, 99, 99.9})
	return reports.Percentiles{
		Count: h.h.TotalCount(), Min: h.h.Min(), Mean: h.h.Mean(), Max: h.h.Max(),
		P50: v[0], P90: v[1], P95: v[2], P99: v[3], P999: v[4], Histogram: encoded,
	}, nil
}

// merge decodes histograms and merges them; an empty text is an empty one.
func merge(encoded []string) (*hdr.Histogram, error) {
	all := newHistogram()
	for _, text := range encoded {
		if err := all.merge(text); err != nil {
			return nil, err
		}
	}
	return all.h, nil
}
