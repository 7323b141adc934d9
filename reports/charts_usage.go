package reports

import (
	"slices"
)

// use is what the generator used in the seconds of a bucket: means of what flows, the largest of what is there.
type use struct {
	CPU, WireSent, WireReceived float64
	Pauses, Pause               float64 // of the worst second; Pause in microseconds
	Opened, Open                float64
	Heap, Goroutines            float64
	Seconds                     int
}

func (u *use) add(s Usage) {
	u.Seconds++
	n := float64(u.Seconds)
	u.CPU += (s.CPUSeconds - u.CPU) / n
	u.WireSent += (float64(s.WireSent) - u.WireSent) / n
	u.WireReceived += (float64(s.WireReceived) - u.WireReceived) / n
	u.Pauses, u.Pause = max(u.Pauses, float64(s.GCPauses)), max(u.Pause, float64(s.GCPauseMicros))
	u.Opened, u.Open = max(u.Opened, float64(s.ConnectionsOpened)), max(u.Open, float64(s.ConnectionsOpen))
	u.Heap, u.Goroutines = max(u.Heap, float64(s.HeapBytes)), max(u.Goroutines, float64(s.Goroutines))
}

// newUsageTimeline is the x axis of what the generator's process did, by its clock.
func newUsageTimeline(us []Usage) timeline {
	seconds := make([]Second, len(us))
	for i, u := range us {
		seconds[i].At = u.At
	}
	t := newTimeline(seconds)
	if len(t.Buckets) == 0 {
		return t
	}
	first := t.Buckets[0].From
	for _, u := range us {
		if u.At < 0 || u.At > latest {
			continue
		}
		from := first + (u.At-first)/t.Size*t.Size
		if i := slices.IndexFunc(t.Buckets, func(b bucket) bool { return b.From == from }); i >= 0 {
			t.Buckets[i].Use.add(u)
		}
	}
	return t
}

// most returns the largest value of the buckets.
func (t timeline) most(values ...func(bucket) float64) float64 {
	hi := 0.0
	for _, b := range t.Buckets {
		for _, of := range values {
			hi = max(hi, of(b))
		}
	}
	return hi
}

func trafficChart(t timeline) chart {
	sent := func(b bucket) float64 { return b.Use.WireSent }
	received := func(b bucket) float64 { return b.Use.WireReceived }
	s := newScale(t, 0, niceMax(t.most(sent, received)), false)
	return chart{
		ID: "traffic", Title: "Traffic", YLabel: "bytes per second",
		Desc: "Bytes on the connections of the run, per second of the generator's clock: bodies, HTTP headers and TLS.",
		Series: []series{
			{"one", "sent", s.path(t, sent)},
			{"two", "received", s.path(t, received)},
		},
		X: s.xTicks(), Y: s.yTicks(bytesSI),
		Columns: []string{"Second", "Sent", "Received"},
		Points:  s.points(t, func(b bucket) []string { return []string{bytesSI(sent(b)), bytesSI(received(b))} }),
	}
}

func connectionChart(t timeline) chart {
	opened := func(b bucket) float64 { return b.Use.Opened }
	open := func(b bucket) float64 { return b.Use.Open }
	s := newScale(t, 0, niceMax(t.most(opened, open)), false)
	c := chart{
		ID: "connections", Title: "Connections", YLabel: "connections",
		Desc: "Connections open at the end of each second of the generator's clock, and opened in it. Those that were opened before the first request are only counted as open.",
		Series: []series{
			{"one", "open", s.path(t, open)},
			{Class: "two", Label: "opened"},
		},
		X: s.xTicks(), Y: s.yTicks(digits3),
		Columns: []string{"Second", "Open", "Opened"},
		Points:  s.points(t, func(b bucket) []string { return []string{digits3(open(b)), digits3(opened(b))} }),
	}
	for _, b := range t.Buckets {
		c.Bars = append(c.Bars, s.bar("two", b, 0, opened(b), min(1.5, s.width*0.15))...)
	}
	return c
}

func generatorChart(t timeline) chart {
	cpu := func(b bucket) float64 { return b.Use.CPU }
	s := newScale(t, 0, niceMax(t.most(cpu)), false)
	return chart{
		ID: "usage", Title: "Generator", YLabel: "CPU seconds per second",
		Desc:   "CPU time that keyflow used, fakes in its process included; the table has the garbage collector's pauses, the heap and the goroutines beside it.",
		Series: []series{{"one", "CPU", s.path(t, cpu)}},
		X:      s.xTicks(), Y: s.yTicks(digits3),
		Columns: []string{"Second", "CPU", "GC pauses", "Paused for", "Heap", "Goroutines"},
		Points: s.points(t, func(b bucket) []string {
			u := b.Use
			return []string{digits3(u.CPU), digits3(u.Pauses), micros(u.Pause), bytesIEC(uint64(u.Heap)), digits3(u.Goroutines)}
		}),
	}
}

// bytesSI writes a number of bytes in decimal units, whose axis has round marks: 1.5 MB.
func bytesSI(n float64) string {
	units := []string{"B", "kB", "MB", "GB", "TB", "PB", "EB"}
	i := 0
	for n >= 999.5 && i < len(units)-1 {
		n, i = n/1000, i+1
	}
	return digits3(n) + "\u00a0" + units[i]
}
