package provider_test

import (
	"strings"
	"testing"

	"keyflow/drm"
	"keyflow/drm/provider"
	"keyflow/drm/secret"
)

// eachBody returns a profile whose body has a list as member "l".
func eachBody(list string) string {
	return head + "vars: {V: {default: x}}\nrequest:\n  url: https://license.example/\n  body:\n    wrap: json\n    json:\n      c: '${challenge}'\n      v: '${var.V}'\n      l: " + list + "\n"
}

func TestEach(t *testing.T) {
	t.Parallel()
	second := drm.KID{2}
	need := provider.Need{
		KIDs: []drm.KID{testKID, second}, Labels: map[drm.KID]string{second: "SD"},
		Keys: map[drm.KID]secret.Bytes{testKID: secret.New([]byte("0123456789abcdef"))},
	}
	for list, want := range map[string]string{
		`{$each: input.kids, $as: k, $do: {id: "${k | guid}"}}`:                                                  `[{"id":"f81d4fae-7dec-11d0-a765-00a0c91e6bf6"},{"id":"02000000-0000-0000-0000-000000000000"}]`,
		`{$each: input.kids, $as: k, $do: "${k | b64}"}`:                                                         `["+B1Prn3sEdCnZQCgyR5r9g==","AgAAAAAAAAAAAAAAAAAAAA=="]`,
		`{$each: input.keys, $as: k, $do: {t: "${k.label | default('HD')}", k: "${k.cek | b64 | omitempty}"}}`:   `[{"t":"HD","k":"MDEyMzQ1Njc4OWFiY2RlZg=="},{"t":"SD"}]`,
		`{$each: input.keys, $as: k, $do: "${k.cek | hex | omitempty}"}`:                                         `["30313233343536373839616263646566"]`,
		`{$each: input.keys, $as: key, $do: {deep: [{v: "${var.V}", kid: "${key.kid | hex | upper}", n: 5}]}}`:   `[{"deep":[{"v":"x","kid":"F81D4FAE7DEC11D0A76500A0C91E6BF6","n":5}]},{"deep":[{"v":"x","kid":"02000000000000000000000000000000","n":5}]}]`,
		`{$each: input.kids, $as: a, $do: {$each: input.kids, $as: b, $do: "${b | hex}"}}`:                       `[["f81d4fae7dec11d0a76500a0c91e6bf6","02000000000000000000000000000000"],["f81d4fae7dec11d0a76500a0c91e6bf6","02000000000000000000000000000000"]]`,
		`{$each: input.kids, $as: a, $do: true}`:                                                                 `[true,true]`,
		`{a: {$each: input.keys, $as: k, $do: "${k.label}/${k.kid | b64url}/${input.keys[1].label}/${run.id}"}}`: `{"a":["/-B1Prn3sEdCnZQCgyR5r9g/SD/","SD/AgAAAAAAAAAAAAAAAAAAAA/SD/"]}`,
	} {
		p := boundTo(t, eachBody(list))
		got := bodyOf(t, built(t, p, leaseFor(t, p, need), "x"))
		if wanted := `{"c":"eA==","v":"x","l":` + want + `}`; got != wanted {
			t.Errorf("%s:\n%s\nwant\n%s", list, got, wanted)
		}
	}
	// A list of keys wants a KID, as input.kid does.
	p := boundTo(t, eachBody(`{$each: input.kids, $as: k, $do: "${k | hex}"}`))
	if _, err := p.Lease(t.Context(), provider.Need{}); err == nil || !strings.Contains(err.Error(), "none is known") {
		t.Errorf("a lease without a KID: %v", err)
	}
}

func TestEachErrors(t *testing.T) {
	t.Parallel()
	for list, want := range map[string]string{
		`{$each: input.kid, $as: k, $do: x}`:                          `request.body.json.l.$each: want input.kids or input.keys, seen "input.kid"`,
		`{$each: [1], $as: k, $do: x}`:                                `$each: want input.kids or input.keys, seen a list`,
		`{$each: input.kids, $as: var, $do: x}`:                       "$as: want a name that is not taken",
		`{$each: input.kids, $as: challenge, $do: x}`:                 "$as: want a name that is not taken",
		`{$each: input.kids, $as: "a b", $do: x}`:                     "$as: want a name that is not taken",
		`{$each: input.kids, $as: hex, $do: "${hex | hex}"}`:          "$as: want a name that is not taken",
		`{$each: input.kids, $as: let, $do: x}`:                       "$as: want a name that is not taken",
		`{$each: input.kids, $as: "true", $do: x}`:                    "$as: want a name that is not taken",
		`{$each: input.kids, $do: x}`:                                 "$as: want a name that is not taken",
		`{$each: input.kids, $as: k}`:                                 "$do: is missing",
		`{$each: input.kids, $as: k, $do: x, more: 1}`:                "l.more: want $each, $as and $do and nothing else",
		`{$as: k, $do: x}`:                                            "l.$as: want $each with $as and $do",
		`{$echa: input.kids}`:                                         "l.$echa: want $each with $as and $do",
		`{$each: input.kids, $as: k, $do: "${k}"}`:                    "bytes need an encoding filter",
		`{$each: input.keys, $as: k, $do: "${k}"}`:                    "k is no value by itself: want one of its members: cek, kid, label",
		`{$each: input.keys, $as: k, $do: "${k.sek | hex}"}`:          `did you mean "cek"?`,
		`{$each: input.kids, $as: k, $do: "${k.kid | hex}"}`:          "k has no members",
		`{$each: input.kids, $as: k, $do: {a: [{b: "${kk | hex}"}]}}`: `unknown path "kk": did you mean "k"?`,
	} {
		refusesAll(t, list, eachBody(list), "p.yaml:12:", want)
	}
}

// TestEachIsSecret: a body that holds content keys must not go to another host.
func TestEachIsSecret(t *testing.T) {
	t.Parallel()
	for list, secret := range map[string]bool{
		`{$each: input.keys, $as: k, $do: "${k.cek | b64}"}`: true,
		`{$each: input.keys, $as: k, $do: "${k.kid | b64}"}`: false,
	} {
		p := boundTo(t, eachBody(list)+"redirects: {policy: any}\n")
		r := p.Build(leaseFor(t, p, testNeed()), drm.Message{Body: []byte("x")}, testAt)
		_, err := p.Redirected(r, 307, map[string][]string{"Location": {"https://other.example/"}}, 0)
		if (err != nil) != secret {
			t.Errorf("%s: %v, want secret %v", list, err, secret)
		}
	}
}
