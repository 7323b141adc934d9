package fakes_test

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"keyflow/drm"
	"keyflow/fakes"
)

// TestPRToken asks for tokens with GET and POST: JSON with the license URL, and a token that differs each time.
func TestPRToken(t *testing.T) {
	t.Parallel()
	s := startPlayReady(t, fakes.Options{}) // all tokens have the same rights
	seen := make(map[string]bool)
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodGet} {
		r := askPRToken(t, s, method, prParameters(s, nil))
		if r.status != http.StatusOK || r.header.Get("Content-Type") != "application/json" || r.header.Get("Cache-Control") != "no-store" {
			t.Fatalf("%s: status %d, %v: %s", method, r.status, r.header, r.body)
		}
		token := prTokenIn(t, s.ExpressPlayPlayReadyURL(), r.body)
		isTrue(t, regexp.MustCompile(`^[A-Za-z0-9+/]{163}=$`).MatchString(token) && !seen[token])
		seen[token] = true
		last := lastRecord(t, s)
		isTrue(t, last.Operation == fakes.OperationToken && last.System == drm.PlayReady && last.Method == method && last.Outcome == fakes.Answered)
		isTrue(t, last.Request == "" && sameKIDs(last.KIDs, kid0) && sameKIDs(last.Granted, kid0))
	}
	r, err := send(t.Context(), http.MethodPut, s.ExpressPlayPlayReadyTokenURL(), nil, "")
	isTrue(t, err == nil && r.status == 405 && r.header.Get("Allow") == "GET, POST")
}

// rental is a right token request for a rental, with more.
func rental(more map[string]string) map[string]string {
	with := map[string]string{"rightsType": "Rental", "rental.periodEndTime": "+60"}
	for name, value := range more {
		with[name] = value
	}
	return with
}

type prTokenError struct {
	with         map[string]string
	status, code int
}

// prTokenErrors has every error of the token service for PlayReady: what differs from a right request, and the code.
var prTokenErrors = []prTokenError{
	{map[string]string{"customerAuthenticator": "-"}, 400, -2017},
	{map[string]string{"customerAuthenticator": "1,00112233445566778899aabbccddeeff", "kid": "-"}, 401, -2018},
	{map[string]string{"kid": "-"}, 400, -4018},
	{map[string]string{"kid": guidText(kid0)}, 400, -4020}, // as a header has it
	{map[string]string{"kid": kid0.String()}, 400, -4020},
	{map[string]string{"kid": "^" + strings.Repeat("x", 65)}, 400, -4021},
	{map[string]string{"kid": "^"}, 400, -4022},
	{map[string]string{"kid": hexKID(unknown)}, 400, -4019},
	{map[string]string{"contentKey": strings.Repeat("0", 30)}, 400, -2027},
	{map[string]string{"contentKey": strings.Repeat("0", 32), "kek": kekDigits[:32], "ek": keyWraps[0].wrapped}, 400, -5007},
	{map[string]string{"contentKey": strings.Repeat("0", 32), "ek": keyWraps[0].wrapped}, 400, -5007},
	{map[string]string{"contentKey": strings.Repeat("g", 32), "kek": kekDigits[:32]}, 400, -5007},
	{map[string]string{"kek": kekDigits[:32]}, 400, -4024},
	{map[string]string{"kek": kekDigits[2:34], "ek": keyWraps[0].wrapped}, 400, -4024},
	{map[string]string{"expirationTime": "300"}, 400, -2002},
	{map[string]string{"expirationTime": "+2592001"}, 400, -2002},
	{map[string]string{"rightsType": "-"}, 400, -2020},
	{map[string]string{"rightsType": ""}, 400, -2020},
	{map[string]string{"rightsType": "rental"}, 400, -2021},
	{map[string]string{"rightsType": "Buy"}, 400, -2021},
	{rental(map[string]string{"rental.periodEndTime": "-"}), 400, -2022},
	{rental(map[string]string{"rental.periodEndTime": "60"}), 400, -2023},
	{rental(map[string]string{"rental.periodEndTime": "+0"}), 400, -2023},
	{rental(map[string]string{"rental.periodEndTime": "2023-11-14T22:13:20Z"}), 400, -2023},      // now
	{rental(map[string]string{"rental.periodEndTime": "2023-11-14T22:13:20.9Z"}), 400, -2023},    // now, in whole seconds
	{rental(map[string]string{"rental.periodEndTime": "2023-11-20T00:00:00+01:00"}), 400, -2023}, // not UTC
	{rental(map[string]string{"rental.periodEndTime": "2106-02-07T06:28:15Z"}), 400, -2023},      // 2^32-1, which is no end
	{rental(map[string]string{"rental.periodEndTime": "9999-12-31T23:59:59Z"}), 400, -2023},
	{rental(map[string]string{"rental.periodEndTime": "+4294967296"}), 400, -2023},
	{rental(map[string]string{"rental.playDuration": "0"}), 400, -2025},
	{rental(map[string]string{"rental.playDuration": "+60"}), 400, -2025},
	{rental(map[string]string{"rental.playDuration": "2147483648"}), 400, -2025},
	{rental(map[string]string{"generalFlags": "00000000"}), 400, -5003},
	{map[string]string{"generalFlags": "1"}, 400, -5003},
	{map[string]string{"generalFlags": "0001"}, 400, -5003},
	{map[string]string{"generalFlags": "00000002"}, 400, -5003},
	{map[string]string{"generalFlags": "01000000"}, 400, -5003},
	{map[string]string{"unknownOutputBehavior": "allow"}, 400, -5001},
	{map[string]string{"unknownOutputBehavior": "HDOnly"}, 400, -5001},
	{map[string]string{"outputControlFlags": "0001"}, 400, -2008},
	{map[string]string{"outputControlFlags": "0000000g"}, 400, -2008},
	{map[string]string{"cookie": strings.Repeat("c", 33)}, 400, -2033},
	{map[string]string{"extensionType": "x"}, 400, -2036},
	{map[string]string{"extensionType": "x", "extensionPayload": "!"}, 400, -2037},
}

var levelNames = []string{"analogVideoOPL", "compressedDigitalAudioOPL", "compressedDigitalVideoOPL", "uncompressedDigitalAudioOPL", "uncompressedDigitalVideoOPL"}

// TestPRTokenErrors has every error in JSON and in HTML, with GET and POST.
func TestPRTokenErrors(t *testing.T) {
	t.Parallel()
	s := startPlayReady(t, fakes.Options{})
	cases := slices.Clone(prTokenErrors)
	for _, name := range levelNames {
		for value, code := range map[string]int{"-": -5006, "": -5006, "1000": -2034, "-1": -2034, "0x1": -2034} {
			cases = append(cases, prTokenError{map[string]string{name: value}, 400, code})
		}
	}
	for _, c := range cases {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			for _, format := range []string{"json", "html"} {
				p := prParameters(s, c.with)
				p.Set("errorFormat", format)
				name := fmt.Sprintf("%v, %s, %s", c.with, method, format)
				checkProblem(t, name, askPRToken(t, s, method, p), format, c.status, c.code)
				if last := lastRecord(t, s); last.Outcome != fakes.Refused || last.Operation != fakes.OperationToken || last.System != drm.PlayReady || last.Granted != nil {
					t.Errorf("%s: history %+v", name, last)
				}
			}
		}
	}
	checkProblem(t, "errorFormat", askPRToken(t, s, http.MethodGet, prParameters(s, map[string]string{"errorFormat": "xml"})), "html", 400, -3004)
	checkProblem(t, "a request for Widevine", askPRToken(t, s, http.MethodGet, parameters(s, nil)), "json", 400, -2020)
	checkProblem(t, "a request for PlayReady at Widevine's service", askToken(t, s, http.MethodGet, prParameters(s, nil)), "json", 400, -7003)
}

// TestPRTokenAccepts has right values of every parameter at their bounds.
func TestPRTokenAccepts(t *testing.T) {
	t.Parallel()
	s := startPlayReady(t, fakes.Options{})
	cases := []map[string]string{
		{"errorFormat": "-"}, {"errorFormat": "html"}, {"kid": strings.ToUpper(hexKID(kid1))},
		{"kid": "^" + strings.Repeat("é", 64), "contentKey": strings.Repeat("0f", 16)}, {"kek": kekDigits[:32], "ek": keyWraps[0].wrapped},
		{"expirationTime": "+1"}, {"expirationTime": "2023-12-14T22:13:20Z"}, {"generalFlags": "00000000"}, {"generalFlags": "00000001"},
		rental(nil), rental(map[string]string{"rental.periodEndTime": "+1"}), rental(map[string]string{"rental.periodEndTime": "2023-11-14T22:13:21Z"}),
		rental(map[string]string{"rental.periodEndTime": "2106-02-07T06:28:14Z"}), rental(map[string]string{"rental.playDuration": "1"}),
		rental(map[string]string{"generalFlags": "00000001", "rental.playDuration": "2147483647"}),
		{"rental.periodEndTime": "never", "rental.playDuration": "x"}, // of what is bought they mean nothing
		{"unknownOutputBehavior": "Allow"}, {"unknownOutputBehavior": "Disallow"}, {"unknownOutputBehavior": "SDOnly"},
		{"outputControlFlags": "0000000A"}, {"outputControlFlags": "ffffffff"}, {"cookie": strings.Repeat("c", 32)},
		{"extensionType": "x", "extensionPayload": "AA=="},
	}
	for _, name := range levelNames {
		cases = append(cases, map[string]string{name: "0"}, map[string]string{name: "999"})
	}
	for _, with := range cases {
		mintPR(t, s, with)
	}
}
