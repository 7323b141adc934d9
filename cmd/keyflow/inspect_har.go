package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"keyflow/drm/capture"
	"keyflow/drm/har"
	"keyflow/drm/secret"
)

const kindArchive = "HTTP archive"

// maxExchanges bounds what is kept of an archive.
const maxExchanges = 1000

// archiveReader sorts out the entries of an archive that are of a license service.
type archiveReader struct {
	view    inspectedArchive
	roots   []namedRoot
	only    int // the entry that is wanted, -1: all
	sieve   har.Sieve[inspectedExchange]
	secrets archiveSecrets
}

// inspectArchive shows an HTTP archive, or one entry of it.
func (a *app) inspectArchive(in *input, roots []namedRoot, f inspectFlags) error {
	r := &archiveReader{
		view:  inspectedArchive{Name: in.name, Kind: kindArchive, Exchanges: []inspectedExchange{}},
		roots: roots, only: f.entry, secrets: archiveSecrets{vault: secret.NewVault()},
	}
	r.sieve.Take, r.sieve.Leave = r.take, r.other
	err := har.Read(in.text, r.visit)
	r.finish()
	if err != nil {
		r.view.Problems = append(r.view.Problems, err.Error())
	}
	missing := f.entry >= 0 && len(r.view.Exchanges) == 0
	if !missing {
		if shown := a.showArchive(r, f); shown != nil {
			return shown
		}
	}
	switch {
	case err != nil:
		return usage(err, "give the archive as the browser's developer tools save it: \"save all as HAR with content\"")
	case missing:
		return usage(fmt.Errorf("%q has %s, no entry %d", in.name, plural(r.view.Entries, "entry"), f.entry), "keyflow inspect FILE shows the numbers of the entries")
	}
	return nil
}

// showArchive prints what was read. Secrets of the archive that a server, say, repeats in an error are left out here.
func (a *app) showArchive(r *archiveReader, f inspectFlags) error {
	var text bytes.Buffer
	to := &app{out: &text, err: a.err}
	switch {
	case f.json && f.entry >= 0:
		if err := to.printJSON(r.view.Exchanges[0]); err != nil {
			return err
		}
	case f.json:
		if err := to.printJSON(r.view); err != nil {
			return err
		}
	case f.entry >= 0:
		to.printEntry(r.view.Name, r.view.Exchanges[0])
	default:
		to.printArchive(r.view)
	}
	if _, err := fmt.Fprint(a.out, r.secrets.vault.Redact(text.String())); err != nil {
		return harness(fmt.Errorf("write output: %w", err))
	}
	return nil
}

func (r *archiveReader) visit(e har.Entry) bool {
	r.view.Entries++
	if r.only >= 0 {
		if e.Index == r.only {
			x, _ := r.exchange(e)
			r.take(x)
		}
		return e.Index < r.only
	}
	r.sieve.Sift(r.exchange(e))
	return true
}

// take takes an exchange in, if there is room.
func (r *archiveReader) take(x inspectedExchange) bool {
	if len(r.view.Exchanges) == maxExchanges {
		r.view.More++
		return false
	}
	r.view.Exchanges = append(r.view.Exchanges, x)
	return true
}

func (r *archiveReader) other(x inspectedExchange) {
	r.view.Others++
	if x.Request != nil && x.Request.Lost != "" {
		r.view.Lost++
	}
}

// finish decides about the entries that had to wait.
func (r *archiveReader) finish() {
	r.sieve.Finish()
	slices.SortStableFunc(r.view.Exchanges, func(x, y inspectedExchange) int { return x.Index - y.Index })
}

// exchange tells an entry, and what it shows of whose it is.
func (r *archiveReader) exchange(e har.Entry) (inspectedExchange, har.Sight) {
	x := inspectedExchange{
		Index: e.Index, Took: float64(e.Took) / float64(time.Millisecond), Method: first(e.Method), URL: har.ShownURL(e.URL), Status: e.Status,
		Failure: first(e.Failure), Redirect: har.ShownURL(e.Redirect), RequestHeaders: fieldsOf(e.Header), AnswerHeaders: fieldsOf(e.AnswerHeader),
	}
	if !e.Started.IsZero() {
		x.Started = &e.Started
	}
	where := fmt.Sprintf("log.entries[%d]", e.Index)
	var request, answer capture.Message
	x.Request, request = r.body(where+".request", e.Request)
	x.Answer, answer = r.body(where+".response", e.Answer)
	sight := har.Sight{Found: request.System != "" || answer.System != "", Waits: e.Method != http.MethodGet}
	x.Kind = exchangeKind(e, request, answer)
	if u, err := url.Parse(e.URL); err == nil {
		x.Query, sight.Service, sight.Likely = har.Parameters(u), har.Service(u), har.Likely(e, u)
		if to, err := u.Parse(e.Redirect); e.Redirect != "" && err == nil {
			sight.LeadsTo = har.Service(to)
		}
		if sight.Found || r.only >= 0 || sight.Waits || r.sieve.Knows(sight.Service) {
			r.secrets.learn(e, u)
		}
	}
	return x, sight
}

// kindPreflight is what a browser asks before it sends a request to another origin.
const kindPreflight = "preflight"

// exchangeKind tells what an exchange is for by what was sent, or else by what was answered.
func exchangeKind(e har.Entry, request, answer capture.Message) string {
	switch {
	case e.Method == http.MethodOptions:
		return kindPreflight
	case request.System != "" && !request.Answer:
		return string(request.System) + " " + string(request.Kind)
	case answer.System != "" && answer.Answer:
		return string(answer.System) + " " + string(answer.Kind)
	}
	return "not recognised"
}

// body tells a body and the message in it; nil for none.
func (r *archiveReader) body(where string, b har.Body) (*inspectedBody, capture.Message) {
	if len(b.Data) == 0 && b.Lost == "" {
		return nil, capture.Message{}
	}
	v := &inspectedBody{Type: first(b.Type), Bytes: len(b.Data), Lost: b.Lost}
	m, _ := capture.Find(b.Data)
	if v.Message = newMessage(where, b.Data, r.roots); v.Message != nil {
		v.Summary = v.Message.summary()
	} else if len(b.Data) > 0 {
		v.Summary = outlineText(b.Data)
	}
	return v, m
}

// outlineText tells what a body that holds no message looks like, and never what it says.
func outlineText(data []byte) string {
	text := bytes.TrimSpace(data)
	var object map[string]json.RawMessage
	switch {
	case json.Unmarshal(text, &object) == nil && object != nil:
		names := slices.Sorted(maps.Keys(object))
		for i, name := range names {
			if len(name) > har.MaxName {
				names[i] = har.Hidden
			}
		}
		if len(names) > 20 {
			names = append(names[:20], har.Hidden)
		}
		return "JSON with the members " + told(strings.Join(names, ", "))
	case json.Valid(text):
		return "JSON, no object"
	case bytes.HasPrefix(text, []byte("<")):
		if root, _ := capture.Outline(data); root != "" && len(root) <= har.MaxName {
			return "a document <" + told(root) + ">"
		}
		return "what looks like HTML or XML"
	case readable(text) == string(text):
		return "text"
	}
	return "bytes that are no message of a DRM system"
}

func fieldsOf(h http.Header) []inspectedField {
	var fields []inspectedField
	for _, name := range slices.Sorted(maps.Keys(h)) {
		if len(fields) == maxListed {
			break
		}
		fields = append(fields, shownField(first(name), strings.Join(h[name], ", ")))
	}
	return fields
}
