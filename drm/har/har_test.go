package har_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"

	"keyflow/drm/har"
)

func read(t *testing.T, text string) []har.Entry {
	t.Helper()
	var all []har.Entry
	if err := har.Read(strings.NewReader(text), func(e har.Entry) bool { all = append(all, e); return true }); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestRead(t *testing.T) {
	t.Parallel()
	all := read(t, "\uFEFF"+`{"log":{"version":"1.2","pages":[{"id":[1,{"a":2}]}],"entries":[
		{"startedDateTime":"2026-03-01T10:00:00.250Z","time":12.5,"request":{"method":"POST","url":"https://l.example/wv?token=CANARY",
		 "headers":[{"name":":authority","value":"l.example"},{"name":"X-Token","value":"CANARY"}],"bodySize":2,"postData":{"mimeType":"application/octet-stream","text":"\u0008\u0004"}},
		 "response":{"status":200,"headers":[{"name":"content-type","value":"application/octet-stream"}],"content":{"size":3,"mimeType":"application/octet-stream","text":"CAUS","encoding":"base64"}}},
		{"request":{"method":"OPTIONS","url":"https://l.example/wv"},"response":{"status":0,"_error":"net::ERR_FAILED","content":{"size":0}}}
	],"comment":""},"other":[]}`)
	if len(all) != 2 {
		t.Fatalf("%d entries", len(all))
	}
	e := all[0]
	if e.Method != "POST" || e.Status != 200 || e.Took != 12500*time.Microsecond || e.Header.Get("x-token") != "CANARY" || len(e.Header) != 1 ||
		e.Started.Nanosecond() != 250_000_000 || string(e.Request.Data) != "\x08\x04" || string(e.Answer.Data) != "\x08\x05\x12" || e.Answer.Lost != "" {
		t.Errorf("got %+v, %q, %q", e, e.Request.Data, e.Answer.Data)
	}
	if printed := fmt.Sprintf("%v %+v %#v %v %#v", e, e, e, e.Request, e.Answer); strings.Contains(printed, "CANARY") {
		t.Errorf("a secret is printed: %s", printed)
	}
	if e = all[1]; e.Index != 1 || e.Status != 0 || e.Failure != "net::ERR_FAILED" || e.Request.Lost != "" {
		t.Errorf("got %+v", e)
	}
}

func TestReadStops(t *testing.T) {
	t.Parallel()
	n := 0
	err := har.Read(strings.NewReader(`{"log":{"entries":[{},{},`), func(har.Entry) bool { n++; return false })
	if err != nil || n != 1 {
		t.Errorf("%d entries, %v", n, err)
	}
}

func TestBodies(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", har.MaxBody+1)
	for name, c := range map[string]struct{ post, data, lost string }{
		"text":             {`{"text":"<a>ü</a>"}`, "<a>ü</a>", ""},
		"Latin-1":          {`{"text":"\u0008\u00e9\u00ff"}`, "\x08\xe9\xff", ""},
		"UTF-8 of a text":  {`{"text":"日\n"}`, "日\n", ""},
		"base64":           {`{"text":"CAE=","encoding":"base64"}`, "\x08\x01", ""},
		"invalid base64":   {`{"text":"C!","encoding":"base64"}`, "", "base64"},
		"other encoding":   {`{"text":"C!","encoding":"hex"}`, "", "encoding"},
		"replaced":         {`{"text":"\u0008\ufffd"}`, "\x08\ufffd", "replaced"},
		"form":             {`{"params":[{"name":"a","value":"b"}]}`, "", "form"},
		"too long":         {`{"text":"` + long + `"}`, "", "too long"},
		"too long, base64": {`{"text":"` + strings.Repeat("AAAA", har.MaxBody/2+1) + `","encoding":"base64"}`, "", "too long"},
		"absent":           {`{"text":""}`, "", "does not hold"},
	} {
		e := read(t, `{"log":{"entries":[{"request":{"bodySize":9,"postData":`+c.post+`}}]}}`)[0]
		if string(e.Request.Data) != c.data || (c.lost == "") != (e.Request.Lost == "") || !strings.Contains(e.Request.Lost, c.lost) {
			t.Errorf("%s: %q, %q", name, e.Request.Data, e.Request.Lost)
		}
	}
	if e := read(t, `{"log":{"entries":[{"request":{"bodySize":9}}]}}`)[0]; e.Request.Lost == "" {
		t.Error("a body that is missing is not told")
	}
}

// TestAnswerBodies: the bytes of a license that was declared as text, and what stands in place of one that the browser kept none of.
func TestAnswerBodies(t *testing.T) {
	t.Parallel()
	var shown strings.Builder // all bytes, as a browser shows them that takes them for windows-1252
	var all []byte
	for i := range 256 {
		c := charmap.Windows1252.DecodeByte(byte(i))
		if c == utf8.RuneError {
			c = rune(i)
		}
		all = append(all, byte(i))
		shown.WriteRune(c)
	}
	text, err := json.Marshal(shown.String())
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ response, data, lost string }{
		"windows-1252":                {`{"status":200,"content":{"size":256,"text":` + string(text) + `}}`, string(all), ""},
		"windows-1252, size unknown":  {`{"status":200,"content":{"text":` + string(text) + `}}`, string(all), ""},
		"UTF-8, as the size tells":    {`{"status":200,"content":{"size":4,"text":"\u0001\u20ac"}}`, "\x01\u20ac", ""},
		"a text in UTF-8":             {`{"status":200,"content":{"size":4,"text":"\u20ac\n"}}`, "\u20ac\n", ""},
		"saved without content":       {`{"status":200,"content":{"size":4}}`, "", "save it with content"},
		"withheld":                    {`{"status":403,"_error":"net::ERR_FAILED","content":{"size":0}}`, "", "withheld"},
		"none, and none was due":      {`{"status":204,"content":{"size":0}}`, "", ""},
		"none of a request that died": {`{"status":0,"_error":"net::ERR_FAILED","content":{"size":0}}`, "", ""},
	} {
		a := read(t, `{"log":{"entries":[{"response":`+c.response+`}]}}`)[0].Answer
		if string(a.Data) != c.data || (c.lost == "") != (a.Lost == "") || !strings.Contains(a.Lost, c.lost) {
			t.Errorf("%s: %q, %q", name, a.Data, a.Lost)
		}
	}
}

func TestReadErrors(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		``:                       "unexpected EOF",
		`{"log":{"entries":[{`:   "log.entries[0]",
		`[]`:                     "no HTTP archive",
		`{"a":1}`:                "no log.entries",
		`{"log":1}`:              "log: not an object",
		`{"log":{"entries":{}}}`: "log.entries: not an array",
		`{"log":{"entries":[{"request":{"url":12345}}]}}`:                       "log.entries[0]: request.url is a number, want a string",
		`{"log":{"entries":[{"request":{"headers":"CANARY"}}]}}`:                "request.headers is a string",
		`{"log":{"entries":[{"startedDateTime":"CANARY"}]}}`:                    "log.entries[0]",
		`{"log":{"entries":[` + strings.Repeat("{},", har.MaxEntries) + `{}]}}`: "more than",
	} {
		err := har.Read(strings.NewReader(text), func(har.Entry) bool { return true })
		var typed *har.Error
		if !errors.As(err, &typed) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "CANARY") {
			t.Errorf("%.60q: %v, want %q in it", text, err, want)
		}
	}
}

func FuzzRead(f *testing.F) {
	files, err := filepath.Glob("testdata/*.har")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte(`{"log":{"entries":[{"request":{"postData":{"text":"\u0008"}},"response":{"content":{"text":"CAE=","encoding":"base64"}}}]}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		n := 0
		err := har.Read(strings.NewReader(string(text)), func(e har.Entry) bool {
			if e.Index != n || len(e.Request.Data) > har.MaxBody || len(e.Answer.Data) > har.MaxBody {
				t.Errorf("entry %d: %v", n, e)
			}
			n++
			return true
		})
		var typed *har.Error
		if err != nil && !errors.As(err, &typed) {
			t.Errorf("%T: %v", err, err)
		}
	})
}
