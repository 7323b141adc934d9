package main

import (
	"sync"

	"keyflow/loadtest"
)

// evidence collects the exchanges behind a run's samples, for the transcripts of its report.
type evidence struct {
	mu          sync.Mutex
	transcripts map[string]string
}

func newEvidence() *evidence { return &evidence{transcripts: map[string]string{}} }

func (e *evidence) take(x loadtest.Evidence) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.transcripts[x.Name] = x.Text
}
