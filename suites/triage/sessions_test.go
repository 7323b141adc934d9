//go:build browser

package triage_test

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"time"

	"keyflow/drm"
	"keyflow/drm/provider"
	"keyflow/fakes"
	"keyflow/suites"
	"keyflow/suites/matrix"
)

// sessions are what pages do to have the recordings of that name made.
var sessions = map[string]func(*script){
	"good-widevine":        func(b *script) { b.acquire(widevineTarget(b.t), nil, drm.KindCertificate, drm.KindLicense) },
	"good-playready":       func(b *script) { b.acquire(playReadyTarget(b.t), nil, drm.KindLicense) },
	"certificate-only":     func(b *script) { b.acquire(widevineTarget(b.t), nil, drm.KindCertificate) },
	"preflight-refused":    func(b *script) { b.acquire(widevineTarget(b.t, "cors-preflight-404"), nil, drm.KindLicense) },
	"header-not-allowed":   func(b *script) { b.acquire(playReadyTarget(b.t, "cors-omit-one-header"), nil, drm.KindLicense) },
	"redirect":             func(b *script) { b.acquire(widevineTarget(b.t, "redirect-307"), nil, drm.KindLicense) },
	"redirect-to-get":      func(b *script) { b.acquire(playReadyTarget(b.t, "redirect-302-drops-body"), nil, drm.KindLicense) },
	"status-201":           func(b *script) { b.acquire(widevineTarget(b.t, "status-201"), nil, drm.KindLicense) },
	"content-type-refused": func(b *script) { b.acquire(widevineTarget(b.t, "ct-strict-415"), nil, drm.KindLicense) },
	"page":                 func(b *script) { b.acquire(widevineTarget(b.t, "html-200@operation=license"), nil, drm.KindLicense) },
	"declared-json":        func(b *script) { b.acquire(widevineTarget(b.t, "resp-ct-lies"), nil, drm.KindLicense) },
	"connection-reset": func(b *script) {
		b.acquire(widevineTarget(b.t, "connection-reset@operation=license"), nil, drm.KindLicense)
	},
	"soap-fault-in-200": func(b *script) {
		b.acquire(playReadyTarget(b.t, "pr-fault-200"), func(r *provider.Request) {
			r.Body = bytes.Replace(r.Body, []byte("<DigestValue>"), []byte("<DigestValue>AAAA"), 1)
		}, drm.KindLicense)
	},
	"renewal-refused": func(b *script) {
		_, target := matrix.StartWidevineWith(b.t, "cenc-1key", fakes.WidevineOptions{Renewable: true}, "wv-renewal-refused")
		b.acquire(target, nil, drm.KindLicense, drm.KindRenewal)
	},

	"good-without-preflight": func(b *script) { b.asks(service{}, func(r *provider.Request) { r.Header = http.Header{} }, options{}) },
	"preflight-unavailable":  func(b *script) { b.asks(service{preflight: status(http.StatusServiceUnavailable)}, nil, options{}) },
	"preflight-redirected": func(b *script) {
		b.asks(service{preflight: func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/license/", http.StatusFound) }}, nil, options{})
	},
	"preflight-page": func(b *script) {
		b.asks(service{private: true, preflight: func(w http.ResponseWriter, _ *http.Request) { writePage(w) }}, nil, options{})
	},
	"cookies-not-allowed": func(b *script) { b.asks(service{}, nil, options{Cookies: true}) },
	"license-not-shared":  func(b *script) { b.asks(service{unshared: true}, nil, options{}) },
	"refusal-not-shared":  func(b *script) { b.asks(service{unshared: true, post: status(http.StatusForbidden)}, nil, options{}) },
	"page-not-shared": func(b *script) {
		b.asks(service{unshared: true, post: func(w http.ResponseWriter, _ *http.Request) { writePage(w) }}, nil, options{})
	},
	"redirect-to-another-origin": func(b *script) {
		a := newAcquisition(b, "cenc-1key")
		b.sends(a, b.serve(leadsTo(b.serve(service{license: a.license}))), nil, options{})
	},
	"redirect-preflight-refused": func(b *script) {
		b.asks(leadsTo(b.serve(service{private: true, preflight: status(http.StatusNotFound)})), nil, options{})
	},
	"redirect-to-nobody": func(b *script) { b.asks(leadsTo(b.nobody()), nil, options{}) },
	"redirect-not-shared": func(b *script) {
		s := leadsTo(b.serve(service{}))
		s.unshared = true
		b.asks(s, nil, options{})
	},
	"rate-limited": func(b *script) { b.asks(service{post: status(http.StatusTooManyRequests)}, nil, options{}) },
	"token-expired": func(b *script) {
		enc := base64.RawURLEncoding.EncodeToString
		token := enc([]byte(`{"alg":"HS256"}`)) + "." + enc(fmt.Appendf(nil, `{"exp":%d}`, time.Now().Add(-10*time.Minute).Unix())) + "." + enc([]byte("signature"))
		b.asks(service{post: status(http.StatusForbidden)}, func(r *provider.Request) { r.Header.Set("Authorization", "Bearer "+token) }, options{})
	},
	"wrapped-in-json": func(b *script) {
		b.asks(service{change: func(license []byte) (string, []byte) {
			text, _ := json.Marshal(map[string]string{"license": base64.StdEncoding.EncodeToString(license)})
			return "application/json", text
		}}, nil, options{})
	},
	"wrapped-in-base64": func(b *script) {
		b.asks(service{change: func(license []byte) (string, []byte) {
			return "text/plain", []byte(base64.StdEncoding.EncodeToString(license))
		}}, nil, options{})
	},
	"empty": func(b *script) {
		b.asks(service{change: func([]byte) (string, []byte) { return "application/octet-stream", nil }}, nil, options{})
	},
	"declared-text": func(b *script) {
		b.asks(service{change: func(l []byte) (string, []byte) { return "text/plain", l }}, nil, options{})
	},
	"gzip":            func(b *script) { b.asks(service{encoding: "gzip", change: zipped}, nil, options{}) },
	"gzip-undeclared": func(b *script) { b.asks(service{change: zipped}, nil, options{}) },
	"cut-short": func(b *script) {
		b.asks(service{post: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "400")
			_, _ = w.Write(bytes.Repeat([]byte{8}, 100))
		}}, nil, options{})
	},
	"player-gives-up": func(b *script) {
		b.asks(service{post: func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }}, nil, options{Abort: 1000})
	},
	"another-kid": func(b *script) {
		other := newAcquisition(b, "cenc-3key")
		b.asks(service{change: func([]byte) (string, []byte) { return "application/octet-stream", other.license }}, nil, options{})
	},
	"nobody-listens": func(b *script) { b.sends(newAcquisition(b, "cenc-1key"), b.nobody(), nil, options{}) },
	"no-such-host": func(b *script) {
		b.sends(newAcquisition(b, "cenc-1key"), "http://license.invalid/license", nil, options{})
	},
}

// acquire has the page send messages of a device that the fake trusts, and gives the device the answers.
func (b *script) acquire(target *suites.Target, edit func(*provider.Request), kinds ...drm.Kind) {
	b.t.Helper()
	p := newPlayer(b.t, target)
	for _, kind := range kinds {
		p.asksBy(kind, func(r *provider.Request) (int, []byte) {
			if edit != nil {
				edit(r)
			}
			return b.post(r, options{})
		})
	}
}

// acquisition is a license request and the license that a fake has for it.
type acquisition struct {
	request *provider.Request
	license []byte
}

func newAcquisition(b *script, asset string) acquisition {
	b.t.Helper()
	_, target := matrix.Start(b.t, asset)
	p := newPlayer(b.t, target)
	_, r := p.message(drm.KindLicense)
	code, license := p.post(r)
	if code != http.StatusOK {
		b.t.Fatalf("HTTP %d", code)
	}
	return acquisition{r, license}
}

// asks has the page ask a service for a license.
func (b *script) asks(s service, edit func(*provider.Request), o options) {
	b.t.Helper()
	a := newAcquisition(b, "cenc-1key")
	s.license = a.license
	b.sends(a, b.serve(s), edit, o)
}

func (b *script) sends(a acquisition, url string, edit func(*provider.Request), o options) {
	b.t.Helper()
	r := a.request.At(url)
	r.Header = r.Header.Clone()
	if edit != nil {
		edit(r)
	}
	b.post(r, o)
}

// service is a license service with one license, for pages of all origins.
type service struct {
	license  []byte
	change   func(license []byte) (contentType string, body []byte)
	encoding string // Content-Encoding
	private  bool   // no answer is shared with other origins
	unshared bool   // answers to preflights are, others not
	// In place of what a service does that works.
	preflight, post func(http.ResponseWriter, *http.Request)
}

// serve starts a service, and returns its license URL.
func (b *script) serve(s service) string {
	b.t.Helper()
	server := httptest.NewServer(s)
	b.t.Cleanup(server.Close)
	return server.URL + "/license"
}

func (s service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body) // until then nobody notices that the browser left
	asks := r.Method == http.MethodOptions
	if !s.private && (asks || !s.unshared) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
	}
	switch {
	case asks && s.preflight != nil:
		s.preflight(w, r)
	case asks:
		w.Header().Set("Access-Control-Allow-Headers", "content-type, authorization")
		w.WriteHeader(http.StatusNoContent)
	case s.post != nil:
		s.post(w, r)
	default:
		kind, body := "application/octet-stream", s.license
		if s.change != nil {
			kind, body = s.change(s.license)
		}
		if s.encoding != "" {
			w.Header().Set("Content-Encoding", s.encoding)
		}
		w.Header().Set("Content-Type", kind)
		_, _ = w.Write(body)
	}
}

// leadsTo is a service that has moved.
func leadsTo(url string) service {
	return service{post: func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, url, http.StatusTemporaryRedirect) }}
}

// nobody is a URL at which nobody listens.
func (b *script) nobody() string {
	return "http://" + net.JoinHostPort("127.0.0.1", fmt.Sprint(freePort(b.t))) + "/license"
}

func status(code int) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) { http.Error(w, http.StatusText(code), code) }
}

func writePage(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/html")
	_, _ = w.Write([]byte("<html><title>Log in</title></html>"))
}

func zipped(license []byte) (string, []byte) {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write(license)
	_ = z.Close()
	return "application/octet-stream", b.Bytes()
}
