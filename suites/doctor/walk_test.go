package doctor_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"keyflow/drm"
	"keyflow/drm/provider"
	"keyflow/drm/widevine"
	"keyflow/fixtures"
	"keyflow/reports"
	"keyflow/suites"
	"keyflow/suites/doctor"
	"keyflow/suites/matrix"
)

// TestFirstFailingHop sets up a service that fails at one hop, and wants that hop named, for the right reason, with a hint, and all
// after it not reached.
func TestFirstFailingHop(t *testing.T) {
	t.Parallel()
	elsewhere := answering(t, 200, "should not be asked")
	tests := map[string]struct {
		make    func(t *testing.T) *doctor.Case
		hop     string // "" for none
		reason  drm.Reason
		outcome doctor.Outcome
		says    string // in what was seen or the hint
	}{
		"name does not resolve": {func(t *testing.T) *doctor.Case {
			c := newCase(t, plain("https://license.invalid/wv", ""))
			c.Resolver = resolver(func(_ context.Context, host string) ([]netip.Addr, error) {
				return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
			})
			return c
		}, doctor.HopDNS, provider.ReasonDNS, doctor.Failed, "no such host"},
		"name server is silent": {func(t *testing.T) *doctor.Case {
			c := newCase(t, plain("https://license.invalid/wv", ""))
			c.Timeout = 50 * time.Millisecond
			c.Resolver = resolver(func(ctx context.Context, _ string) ([]netip.Addr, error) { <-ctx.Done(); return nil, ctx.Err() })
			return c
		}, doctor.HopDNS, provider.ReasonTimeout, doctor.Failed, "no answer from the name server"},
		"name without an address": {func(t *testing.T) *doctor.Case {
			c := newCase(t, plain("https://license.invalid/wv", ""))
			c.Resolver = resolver(func(context.Context, string) ([]netip.Addr, error) { return nil, nil })
			return c
		}, doctor.HopDNS, provider.ReasonDNS, doctor.Failed, "no address"},
		"closed port": {func(t *testing.T) *doctor.Case { return newCase(t, plain("https://"+closedPort(t)+"/wv", "")) },
			doctor.HopTCP, provider.ReasonRefused, doctor.Failed, "is the port right"},
		"closed port behind a proxy": {func(t *testing.T) *doctor.Case {
			return newCase(t, plain("https://"+closedPort(t)+"/wv", ""), "HTTPS_PROXY", "http://user:pass@proxy.example:3128")
		}, doctor.HopTCP, provider.ReasonRefused, doctor.Failed, "HTTPS_PROXY is http://proxy.example:3128"},
		"http on the port": {func(t *testing.T) *doctor.Case {
			return newCase(t, plain(strings.Replace(elsewhere, "http:", "https:", 1), ""))
		},
			doctor.HopTLS, "tls-not-spoken", doctor.Failed, "does not speak TLS"},
		"preflight 404": {func(t *testing.T) *doctor.Case {
			return newCase(t, plain(answering(t, 404, "no"), "cors: {origins: [\"https://player.example\"]}\n"))
		}, doctor.HopPreflight, "preflight-status", doctor.Failed, "OPTIONS"},
		"preflight without a header": {func(t *testing.T) *doctor.Case {
			url := answering(t, 204, "", "Access-Control-Allow-Origin", "*", "Access-Control-Allow-Headers", "content-type")
			return newCase(t, withToken(url, jwtProfile+"cors: {origins: [\"https://player.example\"]}\n"), "TOKEN", "FAKE-token-0123")
		}, doctor.HopPreflight, "cors-headers", doctor.Failed, "authorization"},
		"preflight of another page": {func(t *testing.T) *doctor.Case {
			c := newCase(t, plain(answering(t, 204, "", "Access-Control-Allow-Origin", "https://other.example"), ""))
			c.Origins = []string{"https://player.example"}
			return c
		}, doctor.HopPreflight, "cors-origin", doctor.Failed, "https://other.example"},
		"token service 500": {func(t *testing.T) *doctor.Case {
			return newCase(t, withToken(elsewhere, asked(answering(t, 500, "boom"))))
		},
			doctor.HopToken, "unclassified", doctor.Failed, "token service itself fails"},
		"token service page": {func(t *testing.T) *doctor.Case {
			return newCase(t, withToken(elsewhere, asked(answering(t, 200, "<html>sign in</html>", "Content-Type", "text/html"))))
		}, doctor.HopToken, "edge_html", doctor.Failed, "web page"},
		"token service closed": {func(t *testing.T) *doctor.Case {
			return newCase(t, withToken(elsewhere, asked("http://"+closedPort(t)+"/token")))
		}, doctor.HopTCP, provider.ReasonRefused, doctor.Failed, "port"},
		"token expired": {func(t *testing.T) *doctor.Case {
			return newCase(t, withToken(elsewhere, jwtProfile), "TOKEN", jwt(`{"exp":1000000000,"sub":"canary-subject"}`))
		}, doctor.HopToken, "token-expired", doctor.Failed, "not worth sending"},
		"token not yet valid": {func(t *testing.T) *doctor.Case {
			return newCase(t, withToken(elsewhere, jwtProfile), "TOKEN", jwt(fmt.Sprintf(`{"nbf":%d}`, time.Now().Add(time.Hour).Unix())))
		}, doctor.HopToken, "token-not-yet-valid", doctor.Failed, "clocks"},
		"token from the future": {func(t *testing.T) *doctor.Case {
			return newCase(t, withToken(answering(t, 401, ""), jwtProfile), "TOKEN", jwt(fmt.Sprintf(`{"iat":%d}`, time.Now().Add(time.Minute).Unix())))
		}, doctor.HopLicense, "authorization", doctor.Failed, ""},
		"token not set": {func(t *testing.T) *doctor.Case { return newCase(t, withToken(elsewhere, jwtProfile)) },
			doctor.HopToken, "auth_missing", doctor.Failed, "environment variable TOKEN"},
		"certificate garbage": {func(t *testing.T) *doctor.Case {
			return newCase(t, strings.Replace(plain(answering(t, 200, "garbage that is long enough"), ""), "none", "same_url", 1))
		}, doctor.HopCertificate, widevine.ReasonNotProtobuf, doctor.Failed, "08 05"},
		"certificate page": {func(t *testing.T) *doctor.Case {
			return newCase(t, strings.Replace(plain(answering(t, 200, "<html></html>", "Content-Type", "text/html"), ""), "none", "same_url", 1))
		}, doctor.HopCertificate, provider.ReasonHTML, doctor.Failed, "web page"},
		"license page with 200": {func(t *testing.T) *doctor.Case {
			return newCase(t, plain(answering(t, 200, "<html>hello</html>", "Content-Type", "text/html"), ""))
		}, doctor.HopLicense, provider.ReasonHTML, doctor.Failed, "CDN"},
		"license 401": {func(t *testing.T) *doctor.Case { return newCase(t, plain(answering(t, 401, "who are you"), "")) },
			doctor.HopLicense, "authorization", doctor.Failed, "token or the account"},
		"license 401 of a class": {func(t *testing.T) *doctor.Case {
			return newCase(t, plain(answering(t, 401, "expired"), "errors: [{when: {body: expired}, class: auth_expired}]\n"))
		}, doctor.HopLicense, "auth_expired", doctor.Failed, "compare the clocks"},
		"license 403 with a token": {func(t *testing.T) *doctor.Case {
			return newCase(t, withToken(answering(t, 403, "no"), jwtProfile), "TOKEN", "FAKE-token-0123")
		}, doctor.HopLicense, "authorization", doctor.Failed, "refused"},
		"license 404": {func(t *testing.T) *doctor.Case { return newCase(t, plain(answering(t, 404, "nothing here"), "")) },
			doctor.HopLicense, "not-found", doctor.Failed, "slash"},
		"license 405": {func(t *testing.T) *doctor.Case { return newCase(t, plain(answering(t, 405, ""), "")) },
			doctor.HopLicense, "method-refused", doctor.Failed, "POST"},
		"license 415": {func(t *testing.T) *doctor.Case { return newCase(t, plain(answering(t, 415, ""), "")) },
			doctor.HopLicense, "content-type-refused", doctor.Failed, "application/octet-stream"},
		"license 429": {func(t *testing.T) *doctor.Case { return newCase(t, plain(answering(t, 429, ""), "")) },
			doctor.HopLicense, "rate_limited", doctor.Failed, "wait"},
		"license 500": {func(t *testing.T) *doctor.Case { return newCase(t, plain(answering(t, 500, ""), "")) },
			doctor.HopLicense, provider.ReasonStatus, doctor.Failed, "log"},
		"license elsewhere": {func(t *testing.T) *doctor.Case {
			return newCase(t, plain(answering(t, 307, "", "Location", "https://other.example/wv?token=canary"), ""))
		}, doctor.HopLicense, "redirect", doctor.Failed, "HTTP 307 to https://other.example/wv"},
		"license garbage": {func(t *testing.T) *doctor.Case { return newCase(t, plain(answering(t, 200, "\xff\xff\xff"), "")) },
			doctor.HopLicense, widevine.ReasonNotProtobuf, doctor.Failed, "unwrap"},
		"license empty": {func(t *testing.T) *doctor.Case { return newCase(t, plain(answering(t, 200, ""), "")) },
			doctor.HopLicense, provider.ReasonEmpty, doctor.Failed, "body"},
		"license wrapped otherwise": {func(t *testing.T) *doctor.Case {
			return newCase(t, plain(answering(t, 200, `{"license":"AAAA"}`), "response: {unwrap: [{when: {first_bytes: \"0802\"}, as: raw}]}\n"))
		}, doctor.HopLicense, provider.ReasonForm, doctor.Failed, "response.unwrap"},
		"connection cut": {func(t *testing.T) *doctor.Case {
			return newCase(t, plain(serving(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }), ""))
		}, doctor.HopLicense, provider.ReasonClosed, doctor.Failed, "cuts the connection"},
		"nobody answers": {func(t *testing.T) *doctor.Case {
			c := newCase(t, plain(serving(t, func(_ http.ResponseWriter, r *http.Request) {
				_, _ = r.Body.Read(make([]byte, 1<<16))
				<-r.Context().Done()
			}), ""))
			c.Timeout = 300 * time.Millisecond
			return c
		}, doctor.HopLicense, provider.ReasonTimeout, doctor.Failed, "--timeout"},
		"device refused": {func(t *testing.T) *doctor.Case {
			return newCase(t, plain(answering(t, 403, "E-4001"), "errors: [{when: {body: \"-4001\"}, class: device_rejected}]\n"))
		}, "", "", doctor.OK, "refused an unknown device, as it should"},
		"content unknown": {func(t *testing.T) *doctor.Case {
			return newCase(t, plain(answering(t, 404, "no key"), "errors: [{when: {status: [404]}, class: key_unknown}]\n"))
		}, "", "", doctor.OK, "does not know the content"},
		"own content unknown": {func(t *testing.T) *doctor.Case {
			c := newCase(t, plain(answering(t, 404, "no key"), "errors: [{when: {status: [404]}, class: key_unknown}]\n"))
			c.Canned = false
			return c
		}, doctor.HopLicense, "key_unknown", doctor.Failed, "ingested"},
		"refused in its own words": {func(t *testing.T) *doctor.Case { return newCase(t, plain(answering(t, 400, "bad request"), "")) },
			"", provider.ReasonStatus, doctor.Unclear, "refuses a device that it does not know"},
		"not entitled": {func(t *testing.T) *doctor.Case {
			return newCase(t, plain(answering(t, 403, ""), "errors: [{when: {status: [403]}, class: not_entitled}]\n"))
		}, "", "not_entitled", doctor.Unclear, "--asset"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := test.make(t)
			var told []doctor.Hop
			c.Progress = func(h doctor.Hop) { told = append(told, h) }
			hops := doctor.Walk(t.Context(), c)
			if len(told) != len(hops) {
				t.Errorf("%d of %d hops were told as they ended", len(told), len(hops))
			}
			first := doctor.FirstFailing(hops)
			if test.hop == "" {
				if last := hops[len(hops)-1]; first != nil || last.Outcome != test.outcome || last.Reason != test.reason || !strings.Contains(text(last), test.says) {
					t.Fatalf("first failing %+v, last %+v", first, last)
				}
				return
			}
			if first == nil || first.ID != test.hop || first.Reason != test.reason || first.Hint == "" || !strings.Contains(text(*first), test.says) {
				t.Fatalf("first failing hop %+v, want %s because of %s, saying %q\n%s", first, test.hop, test.reason, test.says, all(hops))
			}
			after := false
			for _, h := range hops {
				if after && h.Outcome != doctor.NotReached {
					t.Errorf("%s is %s after the first failing hop", h.ID, h.Outcome)
				}
				after = after || h.Outcome == doctor.Failed
			}
			if strings.Contains(all(hops), "canary") || strings.Contains(all(hops), "user:pass") {
				t.Errorf("the hops give away what is secret:\n%s", all(hops))
			}
			want := reports.ExitFailed
			if slices.Contains([]string{doctor.HopDNS, doctor.HopTCP, doctor.HopTLS}, test.hop) {
				want = reports.ExitUnreachable
			}
			if got := doctor.Exit(hops); got != want {
				t.Errorf("exit code %d, want %d", got, want)
			}
		})
	}
}

// TestSkipped: what costs money or runs a program is left out without leave, and with it what needs the token.
func TestSkipped(t *testing.T) {
	t.Parallel()
	var reached bool
	url := serving(t, func(http.ResponseWriter, *http.Request) { reached = true })
	billed := strings.Replace(asked(url), "source: http", "source: http, cost_unit: coin", 1)
	command := "tokens: [{id: t, source: command, command: {argv: [\"/nonexistent/program\"], outputs: {value: {}}}}]\n"
	for _, test := range []struct{ profile, says string }{
		{withToken(url, billed), "costs one coin, --budget 1 allows it"},
		{withToken(url, command), "--allow-exec"},
	} {
		hops := doctor.Walk(t.Context(), newCase(t, test.profile))
		token := find(hops, doctor.HopToken)
		license := find(hops, doctor.HopLicense)
		if token.Outcome != doctor.Skipped || !strings.Contains(text(token), test.says) || license.Outcome != doctor.Skipped || !strings.Contains(text(license), test.says) {
			t.Errorf("token %+v, license %+v", token, license)
		}
		if doctor.Exit(hops) != reports.ExitIncomplete {
			t.Errorf("exit code %d", doctor.Exit(hops))
		}
	}
	if reached {
		t.Error("a request was sent")
	}
	c := newCase(t, withToken(answering(t, 401, ""), strings.Replace(asked(answering(t, 200, "FAKE-token-0123")), "source: http", "source: http, cost_unit: coin", 1)))
	c.Budget = 1
	if hops := doctor.Walk(t.Context(), c); find(hops, doctor.HopToken).Outcome != doctor.OK || find(hops, doctor.HopLicense).Outcome != doctor.Failed {
		t.Errorf("with a budget\n%s", all(hops))
	}
}

// TestURLOfToken: where a token names the license URL, the hops to its host come after the token.
func TestURLOfToken(t *testing.T) {
	t.Parallel()
	license := answering(t, 401, "")
	c := newCase(t, "profile: 1\nid: test\ndrm: widevine\ncertificate: {mode: none}\nrequest: {url: \"${token.t.value}\"}\n"+asked(answering(t, 200, license)))
	hops := doctor.Walk(t.Context(), c)
	var order []string
	for _, h := range hops {
		order = append(order, h.ID)
	}
	want := []string{"proxy", "dns", "tcp", "tls", "token", "dns", "tcp", "tls", "preflight", "certificate", "license"}
	if !slices.Equal(order, want) || find(hops, doctor.HopLicense).Outcome != doctor.Failed {
		t.Errorf("hops %v, want %v\n%s", order, want, all(hops))
	}
}

// TestInterrupted ends soon, and nothing is called failed that was not.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	c := newCase(t, plain(serving(t, func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		_, _ = r.Body.Read(make([]byte, 1<<16))
		<-r.Context().Done()
	}), ""))
	c.Timeout = time.Minute
	hops := doctor.Walk(ctx, c)
	if last := hops[len(hops)-1]; last.Outcome != doctor.NotReached || !strings.Contains(text(last), "interrupted") || doctor.Exit(hops) != reports.ExitIncomplete {
		t.Errorf("%s", all(hops))
	}
}

// TestStandIns: every embedded profile, in each variant, reaches its stand-in at every hop, and the license comes.
func TestStandIns(t *testing.T) {
	t.Parallel()
	for _, id := range fixtures.ProfileNames() {
		source, err := fixtures.Profile(id)
		if err != nil {
			t.Fatal(err)
		}
		p, err := provider.Parse(id, source)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range append(p.VariantIDs(), "")[:max(len(p.VariantIDs()), 1)] {
			t.Run(id+"/"+v, func(t *testing.T) {
				t.Parallel()
				_, target := matrix.StandIn(t, "cenc-1key", id, v)
				asks, err := target.Asks()
				if err != nil {
					t.Fatal(err)
				}
				hops := doctor.Walk(t.Context(), &doctor.Case{
					Profile: target.Profile, Platform: target.Platform, Ask: asks[0], Canned: true, Trusted: true, StandIn: true, Client: target.Client,
					TLS: target.TLS, Dial: target.Dial, Clock: target.Clock, Vault: target.Vault, Timeout: 20 * time.Second,
				})
				if last := hops[len(hops)-1]; doctor.Exit(hops) != 0 || !strings.Contains(text(last), "content keys in it: 1") {
					t.Errorf("exit code %d\n%s", doctor.Exit(hops), all(hops))
				}
			})
		}
	}
}

// TestGrantedToStranger: a service that gives a license to a device that it cannot know is not in order.
func TestGrantedToStranger(t *testing.T) {
	t.Parallel()
	_, target := matrix.StartPlayReady(t, "cenc-1key")
	for _, target := range []*suites.Target{target, target.Twin} {
		asks, err := target.Asks()
		if err != nil {
			t.Fatal(err)
		}
		c := &doctor.Case{Profile: target.Profile, Platform: target.Platform, Ask: asks[0], Client: target.Client, Clock: target.Clock, Vault: target.Vault}
		hops := doctor.Walk(t.Context(), c)
		if f := doctor.FirstFailing(hops); f == nil || f.ID != doctor.HopLicense || f.Reason != "license-to-unknown-device" {
			t.Errorf("%s\n%s", target.Profile.DRM, all(hops))
		}
	}
}

// TestStranger: a fake refuses the device in the words of its system, which is a sign of life.
func TestStranger(t *testing.T) {
	t.Parallel()
	fake, _ := matrix.Start(t, "cenc-1key")
	c := newCase(t, fake.Profile()+"certificate: {mode: none}\n")
	hops := doctor.Walk(t.Context(), c)
	if h := find(hops, doctor.HopLicense); doctor.Exit(hops) != 0 || !strings.Contains(text(h), "INVALID_DRM_DEVICE_CERTIFICATE") || !strings.Contains(text(h), "as it should") {
		t.Errorf("%s", all(hops))
	}
	c.Trusted = true
	if f := doctor.FirstFailing(doctor.Walk(t.Context(), c)); f == nil || f.Reason != "device_rejected" {
		t.Errorf("a device that ought to be trusted: %+v", f)
	}
	c = newCase(t, fake.Profile())
	if f := doctor.FirstFailing(doctor.Walk(t.Context(), c)); f == nil || f.Reason != widevine.ReasonCertificateSignature || !strings.Contains(f.Hint, "--authority") {
		t.Errorf("a certificate under another root than the vendor's: %+v", f)
	}
}

var errNothing = errors.New("nothing")

// TestTaken keeps what it is told.
func TestTaken(t *testing.T) {
	t.Parallel()
	c := newCase(t, withToken(answering(t, 401, ""), jwtProfile), "TOKEN", "FAKE-token-0123")
	c.Taken.Note("t", time.Hour, errNothing)
	if h := find(doctor.Walk(t.Context(), c), doctor.HopToken); h.Outcome != doctor.OK || h.TookMS > 60_000 {
		t.Errorf("the lease did not tell of its step: %+v", h)
	}
}
