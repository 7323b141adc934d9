package loadtest

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"

	"keyflow/drm"
	"keyflow/drm/provider"
)

type transportFunc func(*http.Request) (*http.Response, error)

func (f transportFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// BenchmarkHotPath is what a request costs between the ring and the books, without a network: targeter, vegeta's
// request, sender, consumer.
func BenchmarkHotPath(b *testing.B) {
	c := testConfig(1_000_000, time.Hour)
	c.Verify, c.Workers = VerifyNone, 1
	c, mix, err := c.prepare()
	if err != nil {
		b.Fatal(err)
	}
	r := newRun(context.Background(), c, mix)
	defer r.close()
	r.pacer.began = time.Now()
	body := bytes.Repeat([]byte("x"), 1<<10)
	header := http.Header{"Content-Type": {"application/octet-stream"}}
	r.sender.bases[0] = transportFunc(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Header: header, ContentLength: int64(len(body)), Body: io.NopCloser(bytes.NewReader(body))}, nil
	})
	message := drm.Message{Kind: drm.KindLicense, Body: body}
	b.ReportAllocs()
	var seq int
	for b.Loop() {
		r.minter.place(int64(seq)) <- &flight{message: message, seq: int64(seq % 1000), request: c.Shares[0].Profile.Build(nil, message, provider.At{})}
		var target vegeta.Target
		if err := r.target(&target); err != nil {
			b.Fatal(err)
		}
		request, err := target.Request()
		if err != nil {
			b.Fatal(err)
		}
		if _, err := r.sender.RoundTrip(request); err != nil {
			b.Fatal(err)
		}
		r.books.enter(r.finished)
		seq++
	}
}

// BenchmarkRun sends b.N requests to a server on loopback as fast as it can. The live heap must not depend on b.N.
func BenchmarkRun(b *testing.B) {
	license := bytes.Repeat([]byte("x"), 1<<10)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, io.LimitReader(r.Body, 1<<20))
		_, _ = w.Write(license)
	}))
	defer server.Close()
	c := testConfig(1_000_000, time.Duration(b.N)*time.Microsecond)
	c.Shares[0].Profile.Request.URL = server.URL
	c.Verify, c.Workers = VerifyNone, 64
	body := bytes.Repeat([]byte("x"), 2<<10)
	c.Shares[0].Source = func(context.Context) (Fresh, error) {
		return Fresh{Message: drm.Message{Kind: drm.KindLicense, Body: bytes.Clone(body)}}, nil
	}
	b.ReportAllocs()
	load, err := Run(context.Background(), c)
	if err != nil {
		b.Fatal(err)
	}
	if a := load.Accounting; !a.Balanced || a.Answered != int64(b.N) {
		b.Fatalf("%+v", a)
	}
	b.ReportMetric(float64(load.Generator.MaxHeapBytes)/(1<<20), "heap-MiB")
	b.ReportMetric(load.Generator.CPUSeconds*1e6/float64(b.N), "cpu-µs/op")
}
