//go:build browser

package triage_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"keyflow/drm/provider"
	"keyflow/suites/triage"
)

var update = flag.Bool("update", false, "write what the browsers record into testdata")

// patience is how long one thing may take that a browser is told to do.
const patience = 30 * time.Second

// tab is a page in a browser whose developer tools record.
type tab interface {
	open(ctx context.Context, url string) error
	// run has the page evaluate an expression that is a promise of a text.
	run(ctx context.Context, expression string) (string, error)
	// archive is all that the developer tools recorded, as they save it.
	archive(ctx context.Context) ([]byte, error)
	// fresh is called before each session, and reports whether nothing is recorded yet.
	fresh(ctx context.Context) (empty bool, err error)
	// settles is how long nothing new must come until all is recorded.
	settles() time.Duration
}

// TestBrowsers has real browsers record sessions with services that misbehave, and reads them. A browser that is not installed is
// skipped; make browser wants Chromium.
func TestBrowsers(t *testing.T) {
	for name, start := range map[string]func(*testing.T) tab{"chromium": startChromium, "firefox": startFirefox} {
		t.Run(name, func(t *testing.T) {
			b := &script{t: t, tab: start(t)}
			player := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/html")
				_, _ = w.Write([]byte("<!doctype html><title>player</title><link rel=icon href=data:,>"))
			}))
			t.Cleanup(player.Close)
			b.begin(player.URL)
			for _, session := range slices.Sorted(maps.Keys(recorded)) {
				t.Run(session, func(t *testing.T) { b.records(t, name, session) })
			}
		})
	}
}

// records records one session, and reads it.
func (b *script) records(t *testing.T, browser, session string) {
	want := recorded[session].of(browser)
	if want == "" {
		t.Skip("the browser cannot be brought to this")
	}
	act := sessions[session]
	if act == nil {
		t.Fatal("nobody records this session")
	}
	b.t = t
	var archive []byte
	miss := "it was not recorded"
	for attempt := 0; miss != "" && attempt < 3; attempt++ { // what a page's script saw may not be in the tools yet, on a busy machine
		b.must(func(ctx context.Context) error {
			empty, err := b.fresh(ctx)
			if empty {
				b.seen = 0
			}
			return err
		})
		act(b)
		archive = b.recorded()
		miss = recorded[session].miss(want, read(t, archive, triage.Options{}))
	}
	if miss != "" {
		t.Fatal(miss)
	}
	if *update {
		file := recording(browser, session)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, archive, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// script is what a page does.
type script struct {
	tab
	t    *testing.T
	seen int // entries of the archive that are of earlier sessions
}

func (b *script) must(do func(context.Context) error) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), patience)
	defer cancel()
	if err := do(ctx); err != nil {
		b.t.Fatal(err)
	}
}

// begin waits until the developer tools can write an archive, and opens the page again and again until they record it: they may not
// watch yet.
func (b *script) begin(url string) {
	b.t.Helper()
	b.must(func(ctx context.Context) error {
		for {
			_, err := b.archive(ctx)
			if err == nil {
				return nil
			}
			select {
			case <-ctx.Done():
				return err
			case <-time.After(200 * time.Millisecond):
			}
		}
	})
	for end := time.Now().Add(patience); b.seen == 0; {
		if time.Now().After(end) {
			b.t.Fatal("the developer tools record nothing")
		}
		b.must(func(ctx context.Context) error { return b.open(ctx, url) })
		b.recorded()
	}
}

// options are how the page sends a request, beside what is in it.
type options struct {
	Abort   int  `json:"abort"`   // milliseconds after which the page gives up, 0: never
	Cookies bool `json:"cookies"` // send them to another origin
}

// post has the page send a request, and returns what it sees of the answer: nothing and 0 where the browser withholds it.
func (b *script) post(r *provider.Request, o options) (status int, body []byte) {
	b.t.Helper()
	headers := map[string]string{}
	for name := range r.Header {
		headers[name] = r.Header.Get(name)
	}
	arguments, err := json.Marshal(map[string]any{"url": r.URL, "headers": headers, "body": base64.StdEncoding.EncodeToString(r.Body), "how": o})
	if err != nil {
		b.t.Fatal(err)
	}
	b.must(func(ctx context.Context) error {
		text, err := b.run(ctx, `(async ({url, headers, body, how}) => {
			const c = new AbortController();
			if (how.abort) setTimeout(() => c.abort(), how.abort);
			try {
				const r = await fetch(url, {method: 'POST', headers, signal: c.signal, credentials: how.cookies ? 'include' : 'same-origin',
					body: Uint8Array.from(atob(body), x => x.charCodeAt(0))});
				const bytes = new Uint8Array(await r.arrayBuffer());
				return r.status + ' ' + btoa(Array.from(bytes, x => String.fromCharCode(x)).join(''));
			} catch (e) { return '0 '; }
		})(`+string(arguments)+`)`)
		if err != nil {
			return err
		}
		code, answer, _ := strings.Cut(text, " ")
		if status, err = strconv.Atoi(code); err != nil {
			return fmt.Errorf("the page says %q", text)
		}
		body, err = base64.StdEncoding.DecodeString(answer)
		return err
	})
	return status, body
}

// recorded returns what was recorded since it was last called, when nothing more comes.
func (b *script) recorded() []byte {
	b.t.Helper()
	var own []map[string]any
	b.must(func(ctx context.Context) error {
		for before := ""; ; {
			text, err := b.archive(ctx)
			if err != nil {
				return err
			}
			var doc struct {
				Log struct{ Entries []map[string]any }
			}
			if err := json.Unmarshal(text, &doc); err != nil {
				return err
			}
			for _, entry := range doc.Log.Entries {
				trim(entry)
			}
			now := fmt.Sprint(doc.Log.Entries)
			if now == before {
				own = doc.Log.Entries[b.seen:]
				b.seen = len(doc.Log.Entries)
				return nil
			}
			before = now
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(b.settles()):
			}
		}
	})
	text, err := json.Marshal(map[string]any{"log": map[string]any{"version": "1.2", "creator": map[string]string{"name": "a browser's developer tools", "version": ""}, "entries": own}})
	if err != nil {
		b.t.Fatal(err)
	}
	return append(text, '\n')
}

// trim leaves out what is nowhere read: it tells of the machine, or is long.
func trim(entry map[string]any) {
	for _, name := range []string{"_initiator", "_connectionId", "connection", "serverIPAddress", "pageref", "timings", "cache"} {
		delete(entry, name)
	}
	for _, part := range []string{"request", "response"} {
		if p, ok := entry[part].(map[string]any); ok {
			delete(p, "cookies")
			delete(p, "queryString")
		}
	}
}

// freePort is a port of this machine at which nobody listens.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}
