package main

import (
	"errors"
	"fmt"
	"os"

	"keyflow/loadtest"
	"keyflow/reports"
)

// outlet is what a load run writes beside its report.
type outlet struct {
	journal *reports.Journal
	results *loadtest.Results // nil: none were asked for
	file    *os.File          // of the results
}

// stream begins the journal of a run, and the file of --vegeta-results.
func (a *app) stream(f *loadFlags, s *setting, c *loadtest.Config) (*outlet, error) {
	head, err := loadtest.JournalHead(s.report("load", f.faults), *c, len(f.slos) > 0)
	if err != nil {
		return nil, harness(err)
	}
	o := &outlet{}
	if f.results != "" {
		if o.file, err = os.Create(f.results); err != nil {
			return nil, usage(err, "name a file that can be written with --vegeta-results")
		}
		o.results = &loadtest.Results{Write: o.file, Redact: s.vault.Redact}
		c.Results = o.results
	}
	if o.journal, err = reports.CreateJournal(f.out, head, s.vault); err != nil {
		if o.file != nil {
			err = errors.Join(err, o.file.Close())
		}
		return nil, usage(err, "name another directory with --out")
	}
	if kept := o.journal.Kept; kept != "" {
		fmt.Fprintf(a.err, "keyflow: an earlier run ended without a report; its journal is kept\n  hint: keyflow report render %s --out DIR\n", kept)
	}
	c.Journal = o.journal
	return o, nil
}

// end removes the journal if the report took its place. done is the error that the command ends with so far.
func (a *app) end(o *outlet, done error) error {
	if done != nil {
		fmt.Fprintf(a.err, "keyflow: the journal of the run is kept\n  hint: keyflow report render %s --out DIR\n", o.journal.Path)
		return errors.Join(done, o.journal.Close())
	}
	if err := o.journal.Remove(); err != nil {
		return harness(fmt.Errorf("remove the journal: %w", err))
	}
	if o.results == nil {
		return nil
	}
	if err := errors.Join(o.results.Err(), o.file.Close()); err != nil {
		a.exit = reports.WorstExit(a.exit, reports.ExitHarness)
		return &userError{a.exit, fmt.Errorf("%s is not complete: %w", o.file.Name(), err), "the report is complete; vegeta's figures of this file are not those of the run"}
	}
	return nil
}
