package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/pflag"

	"keyflow/drm"
	"keyflow/drm/capture"
	"keyflow/drm/har"
	"keyflow/drm/playready"
	"keyflow/drm/widevine"
	"keyflow/suites/triage"
)

// captureFlags name what was captured between a player and a license service; check and load share them.
type captureFlags struct {
	requests []string
	har      string
}

func (f *captureFlags) register(s *pflag.FlagSet, requests, har string) {
	s.StringArrayVar(&f.requests, "request", nil, requests)
	s.StringVar(&f.har, "har", "", har)
}

// captured reports whether something captured is named.
func (f *captureFlags) captured() bool { return len(f.requests) > 0 || f.har != "" }

const (
	captureHint = "--request FILE is a key request, --har FILE an HTTP archive of a browser"
	archiveHint = "record with the browser's developer tools open, \"Preserve log\" on and the cache off, play until it fails, and save the archive with content"
)

// capturedRequest is a key request that was captured.
type capturedRequest struct {
	drm.Captured
	file   string
	device device // that made it; nil if it is not at hand
}

// readRequests reads the files of --request.
func (f *captureFlags) readRequests() ([]*capturedRequest, error) {
	var all []*capturedRequest
	for _, file := range f.requests {
		data, err := readCapture(file)
		if err != nil {
			return nil, usage(fmt.Errorf("read key request %s: %w", file, err), "give a file with the message of a CDM, or the body of one request to a license server, as bytes or in base64")
		}
		c, err := captured(data)
		if err != nil {
			return nil, usage(fmt.Errorf("%s is no key request that can be replayed: %w", file, err), "keyflow inspect FILE tells more of what it holds")
		}
		all = append(all, &capturedRequest{Captured: c, file: file})
	}
	return all, nil
}

// recording is an archive that was read.
type recording struct{ *triage.Result }

// readArchive reads the archive of --har. One that breaks off is read as far as that.
func (f *captureFlags) readArchive(o triage.Options) (*recording, error) {
	file, err := os.Open(f.har)
	if err != nil {
		return nil, usage(fmt.Errorf("read archive: %w", err), archiveHint)
	}
	defer file.Close()
	o.Name = filepath.Base(f.har)
	result, err := triage.Read(file, o)
	var bad *har.Error
	switch {
	case len(result.Triage.Sessions) > 0:
		return &recording{result}, nil
	case errors.As(err, &bad):
		return nil, usage(fmt.Errorf("%s cannot be read: %w", f.har, err), archiveHint)
	case err != nil:
		return nil, usage(fmt.Errorf("read %s: %w", f.har, err), archiveHint)
	}
	return nil, usage(fmt.Errorf("%s holds no license exchange: none of its %s has a message of Widevine or PlayReady in it", f.har, plural(result.Triage.Entries, "entry")),
		archiveHint+"; what a browser itself refuses to send (Content-Security-Policy, mixed content) is in no archive: its console tells")
}

// captured returns the key requests of the archive that can be replayed.
func (r *recording) captured(name string) ([]*capturedRequest, error) {
	var all []*capturedRequest
	for _, q := range r.Requests {
		c, err := captured(q.Body)
		if err != nil {
			return nil, usage(fmt.Errorf("%s, entry %d: %w", name, q.Entry, err), "keyflow inspect FILE --entry N tells more of what it holds")
		}
		all = append(all, &capturedRequest{Captured: c, file: fmt.Sprintf("%s [%d]", filepath.Base(name), q.Entry)})
	}
	return all, nil
}

func readCapture(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, capture.MaxBody+1))
	switch {
	case err != nil:
		return nil, err
	case len(data) > capture.MaxBody:
		return nil, fmt.Errorf("it is longer than %d bytes", capture.MaxBody)
	case len(data) == 0:
		return nil, errors.New("it is empty")
	}
	return data, nil
}

// captured reads the key request that there is in a file, whatever it is wrapped in: the profile wraps it anew.
func captured(data []byte) (drm.Captured, error) {
	m, found := capture.Find(data)
	switch {
	case !found:
		return drm.Captured{}, errors.New("it holds no message of Widevine or PlayReady")
	case m.Answer || m.Refusal:
		return drm.Captured{}, fmt.Errorf("it holds a %s, which a server answered", m)
	case m.System == drm.PlayReady:
		return playready.Capture(m.Body)
	}
	return widevine.Capture(m.Body)
}
