package provider_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"keyflow/drm"
	"keyflow/drm/provider"
)

// casesProfile has two variants, and scenarios that stand on all of them.
const casesProfile = `profile: 1
id: cases
drm: playready
vars: {SL: {default: 2000}, T: {secret: true, env: T}}
request:
  url: https://license.example/
  query: {cfg: "sl:${var.SL}", t: "${var.T}"}
variants:
  - {id: in-query, patch: {}}
  - {id: in-header, patch: {request: {query: {t: null}, headers: {X-T: "${var.T}"}}}}
scenarios:
  - {id: revoked, patch: {request: {query: {cfg: "errorcode"}}}, expect: {status: [500], class: [device_rejected]}}
  - {id: two-licenses, patch: {request: {query: {more: "1"}}, response: {ok_status: [200, 201]}}, expect: {status: [200], licenses: 2}}
expect:
  token_missing: {status: [401, 403], class: [auth_missing, auth_invalid]}
`

// TestScenarios sends every scenario on the profile and on each of its variants.
func TestScenarios(t *testing.T) {
	t.Parallel()
	base := parsed(t, casesProfile)
	if got := base.VariantIDs(); !slices.Equal(got, []string{"in-query", "in-header"}) {
		t.Errorf("variants %v", got)
	}
	for variant, header := range map[string]string{"": "", "in-query": "", "in-header": "FAKE-secret-t"} {
		for scenario, want := range map[string]string{"": "cfg=sl%3A2000", "revoked": "cfg=errorcode", "two-licenses": "cfg=sl%3A2000"} {
			for _, when := range []string{"unbound", "bound"} {
				env := provider.Environment{Getenv: from("T", "FAKE-secret-t")}
				p := base
				if when == "bound" {
					p = bind(t, p, env)
				}
				p, err := p.WithVariant(variant)
				if err == nil && scenario != "" {
					p, err = p.InScenario(scenario)
				}
				if err != nil {
					t.Fatal(err)
				}
				if when == "unbound" {
					p = bind(t, p, env)
				}
				q := built(t, p, leaseFor(t, p, testNeed()), "x")
				wanted := want
				if header == "" {
					wanted += "&t=FAKE-secret-t"
				}
				if scenario == "two-licenses" {
					wanted += "&more=1"
				}
				if q.URL.RawQuery != wanted || q.Header.Get("X-T") != header || p.Variant != variant {
					t.Errorf("%s, variant %q, scenario %q: %s %v, variant %q; want %s", when, variant, scenario, q.URL.RawQuery, q.Header, p.Variant, wanted)
				}
			}
		}
	}
	if _, err := base.InScenario("revokd"); err == nil || !strings.Contains(err.Error(), `unknown scenario "revokd": did you mean "revoked"?`) {
		t.Errorf("an unknown scenario: %v", err)
	}
	if _, err := base.WithVariant("in-headr"); err == nil || !strings.Contains(err.Error(), `unknown variant "in-headr": did you mean "in-header"?`) {
		t.Errorf("an unknown variant: %v", err)
	}
	if len(base.Scenarios) != 2 || base.Scenarios[1].Expect.Licenses != 2 || base.Scenarios[0].Expect.Class[0] != provider.ErrorDeviceRejected {
		t.Errorf("scenarios %+v", base.Scenarios)
	}
	p, err := base.InScenario("two-licenses")
	if err != nil || p.Read(drm.KindLicense, 201, nil, []byte("x")).Class != provider.ClassOK || base.Read(drm.KindLicense, 201, nil, []byte("x")).Class == provider.ClassOK {
		t.Errorf("a scenario's own response: %v", err)
	}
}

// TestScenarioErrors: what is wrong with a scenario on one variant only is told once, with its line.
func TestScenarioErrors(t *testing.T) {
	t.Parallel()
	for old, c := range map[string]struct{ text, want string }{
		"more: \"1\"":              {`more: "${var.S}"`, `p.yaml:13: scenario two-licenses: request.query.more: ${var.S}: unknown path "var.S": did you mean "SL"?`},
		"licenses: 2}":             {"licenses: -1}", "p.yaml:13: scenarios[1].expect.licenses: want a number of licenses, seen -1"},
		", expect: {status: [500]": {", expct: {status: [500]", `p.yaml:12: unknown key "scenarios[0].expct": did you mean "expect"?`},
		"id: revoked":              {"id: two-licenses", `p.yaml:13: scenarios[1].id: want lower-case words joined by hyphens, each once, seen "two-licenses"`},
		"[device_rejected]":        {"[edge_html]", "p.yaml:12: scenarios[0].expect.class[0]: edge_html is never a right refusal"},
		"[auth_missing, auth":      {"[unclassified, auth", "p.yaml:15: expect.token_missing.class[0]: unclassified is never a right refusal"},
		"  token_missing":          {"  token_mising", `p.yaml:15: expect.token_mising: unknown scenario: did you mean "token_missing"?`},
		"{id: in-query, patch: {}": {"{id: in-query, patch: {}, expect: {status: [200]}", "p.yaml:9: variants[0].expect: belongs to scenarios"},
		"patch: {request: {query: {cfg: \"errorcode\"}}}": {"patch: {vars: {X: {}}}", "p.yaml:12: scenario revoked: patch: vars cannot be patched"},
		"{status: [500], class: [device_rejected]}":       {"{}", "p.yaml:12: scenarios[0].expect: is missing"},
	} {
		text := strings.Replace(casesProfile, old, c.text, 1)
		if text == casesProfile {
			t.Fatalf("%q changes nothing", old)
		}
		refusesAll(t, c.text, text, c.want)
		if _, err := provider.Parse("p.yaml", []byte(text)); err != nil && strings.Count(err.Error(), c.want) != 1 {
			t.Errorf("%s is told %d times:\n%v", c.text, strings.Count(err.Error(), c.want), err)
		}
	}
}

func TestCapabilities(t *testing.T) {
	t.Parallel()
	p := parsed(t, head+"request: {url: 'https://license.example/'}\ncapabilities: {privacy_mode: false, persistent: true}\n")
	for capability, lacks := range map[string]bool{
		provider.CapabilityPrivacy: true, provider.CapabilityMultiKey: false, provider.CapabilityPersistent: false, "something_else": false,
	} {
		if p.Lacks(capability) != lacks {
			t.Errorf("lacks %s: %v", capability, !lacks)
		}
	}
	if !slices.Contains(provider.Capabilities(), provider.CapabilityCORS) || len(provider.Capabilities()) != 5 {
		t.Errorf("capabilities %v", provider.Capabilities())
	}
}

func TestPromises(t *testing.T) {
	t.Parallel()
	for _, every := range []string{"*", ""} {
		p := parsed(t, head+"request: {url: 'https://license.example/'}\npromises:\n  '"+every+"': {hdcp: v1, license: 1h, persistent: false}\n  HD: {hdcp: v2.2, security_level: 3, playback: 30m, renewable: true}\n")
		other, ok := p.PromiseOf("SD")
		if !ok || other.HDCP != "v1" || other.License != time.Hour || other.Persistent == nil || *other.Persistent || other.Renewable != nil {
			t.Errorf("%q: of every track: %+v, %v", every, other, ok)
		}
		if hd, ok := p.PromiseOf("HD"); !ok || hd.HDCP != "v2.2" || hd.SecurityLevel != 3 || hd.Playback != 30*time.Minute || !*hd.Renewable || hd.License != 0 {
			t.Errorf("%q: of HD: %+v, %v", every, hd, ok)
		}
	}
	if _, ok := parsed(t, head+"request: {url: 'https://license.example/'}\npromises: {HD: {hdcp: none}}\n").PromiseOf("SD"); ok {
		t.Error("what is said of HD is said of SD")
	}
	for system, levels := range map[string][2]string{"widevine": {"6", "2000"}, "playready": {"100", "1"}} {
		for _, level := range levels {
			refusesAll(t, system+" "+level, "profile: 1\nid: x\ndrm: "+system+"\nrequest: {url: 'https://license.example/'}\npromises: {HD: {security_level: "+level+"}}\n", "p.yaml:5: promises.HD.security_level: want a level of "+system)
		}
	}
}

// TestUnexpectedClass: the oracle looks at status and class.
func TestUnexpectedClass(t *testing.T) {
	t.Parallel()
	p := parsed(t, head+"request: {url: 'https://license.example/'}\nerrors: [{when: {body: a}, class: auth_missing}, {when: {body: b}, class: auth_expired}]\n"+
		"expect: {token_missing: {status: [401, 403], class: [auth_missing]}, token_expired: {class: [auth_expired]}, token_reused: {status: \"400-499\"}}\n")
	for _, c := range []struct {
		scenario string
		status   int
		body     string
		good     bool
	}{
		{"token_missing", 401, "a", true}, {"token_missing", 400, "a", false}, {"token_missing", 403, "b", false}, {"token_missing", 200, "a", false},
		{"token_expired", 500, "b", true}, {"token_expired", 401, "", false}, {"token_reused", 499, "", true}, {"token_reused", 500, "", false}, {"token_unsigned", 200, "", true},
	} {
		problem := p.Unexpected(c.scenario, p.Read(drm.KindLicense, c.status, nil, []byte(c.body)))
		if (problem == nil) != c.good || problem != nil && problem.Reason != provider.ReasonScenario {
			t.Errorf("%s, HTTP %d %q: %+v", c.scenario, c.status, c.body, problem)
		}
	}
}
