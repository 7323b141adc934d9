package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"keyflow/drm"
	"keyflow/loadtest/corpus"
)

// mintProgress shows a bar on a terminal and a line every few seconds elsewhere.
type mintProgress struct {
	w      io.Writer
	total  int64
	minted atomic.Int64
	bars   *mpb.Progress // nil where w is no terminal
	bar    *mpb.Bar
	end    chan struct{}
	done   sync.WaitGroup
}

func (a *app) mintProgress(json bool, total int64) *mintProgress {
	p := &mintProgress{w: a.out, total: total, end: make(chan struct{})}
	if json {
		p.w = a.err
	}
	if isTerminal(p.w) {
		p.bars = mpb.New(mpb.WithOutput(p.w), mpb.WithWidth(40))
	}
	return p
}

// start tells what is minted, and goes on to tell how far it is.
func (p *mintProgress) start(f *mintFlags, streams []*stream) {
	fmt.Fprintf(p.w, "keyflow %s: minting %d key requests into %s\n", version(), p.total, f.file)
	for _, st := range streams {
		fmt.Fprintf(p.w, "  weight %d = %d requests: %s (%s)\n", st.weight, st.planned, st.profile.ID, st.profile.DRM)
	}
	fmt.Fprintln(p.w)
	every := lineEvery
	if p.bars != nil {
		every = 100 * time.Millisecond
		p.bar = p.bars.AddBar(p.total, mpb.PrependDecorators(decor.Name("minting ")),
			mpb.AppendDecorators(decor.CountersNoUnit("%d/%d"), decor.AverageETA(decor.ET_STYLE_GO, decor.WC{W: 9})))
	}
	p.done.Go(func() {
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		began := time.Now()
		for {
			select {
			case <-ticker.C:
				p.tell(time.Since(began))
			case <-p.end:
				return
			}
		}
	})
}

func (p *mintProgress) tell(since time.Duration) {
	n := p.minted.Load()
	if p.bar != nil {
		p.bar.SetCurrent(min(n, p.total))
		return
	}
	fmt.Fprintf(p.w, "%6.1fs minted %d/%d\n", since.Seconds(), n, p.total)
}

// stop leaves the bar as it is: a run that ended early shows how far it came.
func (p *mintProgress) stop() {
	close(p.end)
	p.done.Wait()
	if p.bar == nil {
		return
	}
	p.bar.SetCurrent(min(p.minted.Load(), p.total))
	p.bar.Abort(false)
	p.bars.Wait()
}

// mintResult is what mint prints with --json.
type mintResult struct {
	File string `json:"file"`
	corpus.Info
	Planned     int64         `json:"planned"`
	Groups      []mintedGroup `json:"groups"`
	Authority   string        `json:"authority,omitempty"`
	Created     time.Time     `json:"created"`
	Seconds     float64       `json:"seconds"`
	Interrupted string        `json:"interrupted,omitempty"`
}

type mintedGroup struct {
	Profile string     `json:"profile"`
	System  drm.System `json:"system"`
	Weight  int64      `json:"weight"`
	Entries int64      `json:"entries"`
}

func (a *app) printMinted(f *mintFlags, r mintResult) error {
	if f.json {
		return a.printJSON(r)
	}
	if r.Interrupted != "" {
		fmt.Fprintf(a.out, "interrupted: minted %d of %d key requests in %.1f s; they are kept, as a whole corpus of their own\n", r.Entries, r.Planned, r.Seconds)
	} else {
		fmt.Fprintf(a.out, "minted %d key requests in %.1f s\n", r.Entries, r.Seconds)
	}
	fmt.Fprintf(a.out, "  file    %s, %d bytes, sha256 %s\n", r.File, r.Bytes, r.Digest)
	words := []string{"keyflow load --corpus " + r.File}
	for _, p := range f.profiles {
		words = append(words, "--profile "+p)
	}
	if f.authority != "" {
		words = append(words, "--authority "+f.authority)
	}
	if f.identity != "" {
		words = append(words, "--identity "+f.identity)
	}
	fmt.Fprintf(a.out, "  use     %s\n", strings.Join(words, " "))
	return nil
}
