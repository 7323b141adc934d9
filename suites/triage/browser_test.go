package triage_test

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"slices"
	"strings"
	"testing"
	"time"

	"keyflow/drm"
	"keyflow/drm/provider"
	"keyflow/suites"
)

const page = "https://player.example"

// browser sends requests as a browser does for a script of another origin, and records them as its developer tools do.
type browser struct {
	t       *testing.T
	client  *http.Client
	header  http.Header         // beside those of the request, as the browser sets them
	forward func([]byte) []byte // what a proxy on the way makes of the request's body; nil: nothing
	back    func([]byte) []byte // and of the answer's
	offset  time.Duration       // of the machine's clock in what is recorded
	noWord  bool                // the archive tells no browser's error
	entries []any
}

func newBrowser(t *testing.T, target *suites.Target) *browser {
	client := *target.Client
	client.Jar, _ = cookiejar.New(nil)
	return &browser{t: t, client: &client, header: http.Header{"User-Agent": {"Mozilla/5.0"}, "Sec-Fetch-Mode": {"cors"}}}
}

// archive is what was recorded, as a HAR 1.2 document.
func (b *browser) archive() []byte {
	b.t.Helper()
	text, err := json.Marshal(map[string]any{"log": map[string]any{"version": "1.2", "creator": map[string]string{"name": "test", "version": "1"}, "entries": b.entries}})
	if err != nil {
		b.t.Fatal(err)
	}
	return text
}

// post asks for leave if the request needs it, and sends it if it gets leave. It returns what the page's script sees: nothing where the
// browser withholds the answer.
func (b *browser) post(r *provider.Request) (status int, body []byte) {
	b.t.Helper()
	names := new(provider.Profile).CORSHeaders(r)
	if len(names) > 0 {
		status, header, _ := b.send(suites.Preflight(r, page, names), "")
		if status < 200 || status > 299 || suites.Shared(provider.CORS{}, header, page, "") != nil || suites.Refused(provider.CORS{}, header, names, "") != nil {
			b.record(time.Now(), r, r.Header, 0, nil, nil, b.word("net::ERR_FAILED"))
			return 0, nil
		}
	}
	status, header, body := b.send(r, page)
	if suites.Shared(provider.CORS{}, header, page, "") != nil && status != 0 && !provider.IsHTML(header, body) {
		return 0, nil
	}
	return status, body
}

func (b *browser) word(text string) string {
	if b.noWord {
		return ""
	}
	return text
}

// send sends one request and follows redirects as fetch does.
func (b *browser) send(r *provider.Request, origin string) (int, http.Header, []byte) {
	b.t.Helper()
	sent := *r
	sent.Header = r.Header.Clone()
	for name, values := range b.header {
		sent.Header[name] = values
	}
	if origin != "" {
		sent.Header.Set("Origin", origin)
	}
	wire := sent
	if b.forward != nil && r.Method == http.MethodPost {
		wire.Body = b.forward(r.Body)
	}
	q, err := wire.HTTP(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	at := time.Now()
	response, err := b.client.Do(q)
	if err != nil {
		b.record(at, &sent, sent.Header, 0, nil, nil, b.word("net::ERR_CONNECTION_RESET"))
		return 0, nil, nil
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	if b.back != nil && response.StatusCode == http.StatusOK && r.Method == http.MethodPost {
		body = b.back(body)
	}
	b.record(at, &sent, sent.Header, response.StatusCode, response.Header, body, "")
	to, err := response.Location()
	if err != nil || response.StatusCode < 300 || response.StatusCode > 399 {
		return response.StatusCode, response.Header, body
	}
	next := sent.At(to.String())
	if response.StatusCode != http.StatusTemporaryRedirect && response.StatusCode != http.StatusPermanentRedirect {
		next.Method, next.Body = http.MethodGet, nil
	}
	return b.send(next, origin)
}

func (b *browser) record(at time.Time, r *provider.Request, header http.Header, status int, answer http.Header, body []byte, failure string) {
	request := map[string]any{"method": r.Method, "url": r.URL, "httpVersion": "h2", "headers": fields(header), "bodySize": len(r.Body)}
	if len(r.Body) > 0 {
		request["postData"] = map[string]any{"mimeType": header.Get("Content-Type"), "text": latin(r.Body)}
	}
	content := map[string]any{"size": len(body), "mimeType": answer.Get("Content-Type")}
	if len(body) > 0 {
		content["text"], content["encoding"] = base64.StdEncoding.EncodeToString(body), "base64"
	}
	response := map[string]any{"status": status, "headers": fields(answer), "redirectURL": answer.Get("Location"), "content": content}
	if failure != "" {
		response["_error"] = failure
	}
	b.entries = append(b.entries, map[string]any{
		"startedDateTime": at.Add(b.offset).UTC().Format(time.RFC3339Nano), "time": float64(time.Since(at)) / float64(time.Millisecond), "request": request, "response": response,
	})
}

// later records a segment of media that was loaded so long after now.
func (b *browser) later(d time.Duration) {
	b.offset += d
	b.record(time.Now(), &provider.Request{Method: http.MethodGet, URL: "https://cdn.example/seg.m4s"}, nil, 200, http.Header{"Content-Type": {"video/mp4"}}, nil, "")
}

func fields(h http.Header) []map[string]string {
	list := []map[string]string{}
	for name, values := range h {
		for _, v := range values {
			list = append(list, map[string]string{"name": strings.ToLower(name), "value": v})
		}
	}
	slices.SortFunc(list, func(a, b map[string]string) int { return strings.Compare(a["name"], b["name"]) })
	return list
}

// latin is a body as browsers write it: a character for each byte, unless it is text in UTF-8.
func latin(b []byte) string {
	if strings.HasPrefix(string(b), "<") {
		return string(b)
	}
	var s strings.Builder
	for _, c := range b {
		s.WriteRune(rune(c))
	}
	return s.String()
}

// player asks for licenses with a device that the service trusts.
type player struct {
	*browser
	target  *suites.Target
	ask     suites.Ask
	session drm.Session
	lease   *provider.Lease
}

func newPlayer(t *testing.T, target *suites.Target, forgery ...provider.Forgery) *player {
	t.Helper()
	p := &player{browser: newBrowser(t, target), target: target}
	asks, err := target.Asks()
	if err != nil {
		t.Fatal(err)
	}
	p.ask = asks[0]
	if len(forgery) > 0 {
		p.lease, err = target.Profile.ForgedLease(t.Context(), p.ask.Need, forgery[0])
	} else {
		p.lease, err = target.Profile.Lease(t.Context(), p.ask.Need)
	}
	if err != nil {
		t.Fatal(err)
	}
	p.session, err = target.Platform.Open(t.Context(), p.ask.Box, drm.Options{CustomData: p.lease.CustomData})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.session.Close() })
	return p
}

// message is a message of the CDM, and the request that carries it.
func (p *player) message(kind drm.Kind) (drm.Message, *provider.Request) {
	p.t.Helper()
	m, err := p.session.Request(p.t.Context(), kind)
	if err != nil {
		p.t.Fatal(err)
	}
	return m, p.target.Profile.Build(p.lease, m, provider.At{Now: time.Now()})
}

// asks sends a message of the CDM, and gives it the answer.
func (p *player) asks(kind drm.Kind) *player {
	p.t.Helper()
	return p.asksBy(kind, p.post)
}

// asksBy is asks by another browser, whose post returns what the page's script sees.
func (p *player) asksBy(kind drm.Kind, post func(*provider.Request) (status int, body []byte)) *player {
	p.t.Helper()
	m, r := p.message(kind)
	status, body := post(r)
	if status == http.StatusOK {
		_, _ = p.session.Process(p.t.Context(), m.ID, p.target.Profile.Read(kind, status, nil, body).Body) // what is wrong shows in the archive
	}
	return p
}
