package fakes_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"keyflow/drm"
	"keyflow/drm/playready/soap"
	"keyflow/drm/playready/xmr"
	"keyflow/drm/secret"
	"keyflow/fakes"
)

const microsoftURL = "https://test.playready.microsoft.com/service/rightsmanager.asmx"

func startMicrosoft(t testing.TB) lab {
	t.Helper()
	return startLab(t, fakes.StandInOptions{Provider: "microsoft", System: drm.PlayReady})
}

// askMicrosoft posts a challenge with a query, which goes as it is.
func askMicrosoft(t testing.TB, l lab, query string, a prAsk) (prRequest, reply) {
	t.Helper()
	r := a.make(t)
	return r, l.post(t, microsoftURL+query, r.header, r.body)
}

func licensed(t testing.TB, l lab, query string, a prAsk) []prLicense {
	t.Helper()
	r, got := askMicrosoft(t, l, query, a)
	o, err := openPlayReady(r, got.body)
	if err != nil || got.status != http.StatusOK {
		t.Fatalf("%s: status %d, %v: %s", query, got.status, err, got.body)
	}
	return o.licenses
}

// seeded are KIDs and the keys that follow from the published test key seed (sheet playready.md §13.1).
var seeded = map[string]string{
	"09e091ab-f838-41d2-9e35-58531fd19ec7": "9cb061164b7013eaefcc7d6d18424c2c",
	"a2c786d0-f9ef-4cb3-b333-cd323a4284a5": "4edb7704cdbf03617f4800bd878a6df2",
	"6f651ae1-dbe4-4434-bcb4-690d1564c41c": "88da852ae4fa2e1e36aeb2d5c94997b1",
}

// TestMicrosoftDefault: without a query there is a license for each KID, in memory, of level 150, with a key that follows from the
// seed and with no end.
func TestMicrosoftDefault(t *testing.T) {
	t.Parallel()
	l := startMicrosoft(t)
	low := issuePlayReady(t, 150, time.Time{})
	for text, key := range seeded {
		kid, err := drm.ParseKID(text)
		must(t, err)
		for _, a := range []prAsk{{header: header42(kid)}, {header: header42(kid), device: low}} {
			all := licensed(t, l, "", a)
			p := all[0].Policy
			if len(all) != 1 || all[0].KID != kid || !all[0].content.Equal(secret.New(unhex(t, key))) {
				t.Errorf("%s: %d licenses, of KID %s", text, len(all), all[0].KID)
			}
			isTrue(t, p.CannotPersist && p.SecurityLevel == 150 && p.Begin.IsZero() && p.End.IsZero() && p.Output == nil && p.FirstPlay == 0 && !p.RealTimeExpiration)
		}
	}
	isTrue(t, len(licensed(t, l, "", prAsk{})) == 2)
	r := prAsk{}.make(t)
	isTrue(t, l.post(t, strings.Replace(microsoftURL, "service", "core", 1), r.header, r.body).status == 200)
	isTrue(t, l.post(t, strings.Replace(microsoftURL, "service", "Service", 1), r.header, r.body).status == 404)
	if _, err := fakes.StartStandIn(t.Context(), fakes.StandInOptions{Provider: "microsoft", System: drm.Widevine}); err == nil {
		t.Error("a PlayReady server stands in for one of Widevine")
	}
}

// TestMicrosoftQuery has what a query says in the licenses. Plus signs in base64 are sent as they are, or escaped.
func TestMicrosoftQuery(t *testing.T) {
	t.Parallel()
	l := startMicrosoft(t)
	plus := []byte{0xfb, 0xef, 0xbe, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15} // ++++ in base64
	isTrue(t, strings.HasPrefix(b64(plus), "++++"))
	for query, check := range map[string]func(l []prLicense) bool{
		"(kid:header)": func(l []prLicense) bool { return len(l) == 2 && l[0].KID == kid0 && l[1].KID == kid1 },
		"(sl:2000)": func(l []prLicense) bool {
			return l[0].SecurityLevel == 2000 && l[1].SecurityLevel == 2000
		},
		"(kid:" + kid1.String() + ")":                    func(l []prLicense) bool { return len(l) == 1 && l[0].KID == kid1 },
		"(kid:{" + strings.ToUpper(kid1.String()) + "})": func(l []prLicense) bool { return len(l) == 1 && l[0].KID == kid1 },
		"(kid:" + guidText(kid1) + ")":                   func(l []prLicense) bool { return len(l) == 1 && l[0].KID == kid1 },
		"(kid:header),(kid:" + guidText(kid0) + ",sl:2000)": func(l []prLicense) bool {
			return len(l) == 3 && l[0].KID == kid0 && l[1].KID == kid0 && l[1].SecurityLevel == 2000 && l[2].SecurityLevel == 150
		},
		"(contentkey:" + b64(plus) + ")":                         func(l []prLicense) bool { return l[0].content.Equal(secret.New(plus)) },
		"(ck:" + strings.ReplaceAll(b64(plus), "+", "%2B") + ")": func(l []prLicense) bool { return l[1].content.Equal(secret.New(plus)) },
		"(keyseed:XVBovsmzhP9gRIZxWfFta3VVRPzVEWmJsazEJ46I)":     func(l []prLicense) bool { return len(l) == 2 },
		"(ckt:aes128bitcbc)":                                     func(l []prLicense) bool { return l[0].KeyType == xmr.KeyAESCBC },
		"(ckt:aesctr)":                                           func(l []prLicense) bool { return l[0].KeyType == xmr.KeyAESCTR },
		"(persist:true,firstexp:60)":                             func(l []prLicense) bool { return !l[0].CannotPersist && l[0].FirstPlay == time.Minute },
		"(persist:false,realtime:true)":                          func(l []prLicense) bool { return l[0].CannotPersist && l[0].RealTimeExpiration },
		"(begindate:20170101,expiration:20170101010000)":         func(l []prLicense) bool { return l[0].End.Sub(l[0].Begin) == time.Hour },
		"(enddate:20300102030405)":                               func(l []prLicense) bool { return l[0].End.Unix() == 1893553445 && l[0].Begin.IsZero() },
		"(caopl:100,ucaopl:150,cvopl:200,ucvopl:250,avopl:300)": func(l []prLicense) bool {
			return *l[0].Output == xmr.OutputProtection{CompressedVideo: 200, UncompressedVideo: 250, AnalogVideo: 300, CompressedAudio: 100, UncompressedAudio: 150}
		},
		"(allowunknownsd:true,allowunknownhd:false,revoked:false)": func(l []prLicense) bool {
			return len(l[0].PlayEnablers) == 1 && l[0].PlayEnablers[0] == xmr.ConstrainedUnknownOutput
		},
		"(kid:" + kid0.String() + ",sl:150),(kid:" + kid1.String() + ")": func(l []prLicense) bool { return len(l) == 2 },
	} {
		if got := licensed(t, l, "?cfg="+query, prAsk{}); !check(got) {
			t.Errorf("%s: %d licenses, the first %+v", query, len(got), got[0].License)
		}
	}
	_, got := askMicrosoft(t, l, "?cfg=(sl:3000)", prAsk{}) // of a device of 2000
	isTrue(t, got.status == 500 && refusedFor(t, l.Server, "security-level"))
	stated := checksum(t, kid0, false) // of the key store's key, which is not the test server's
	_, got = askMicrosoft(t, l, "", prAsk{header: header40(kid0, b64(stated))})
	isTrue(t, got.status == 500 && refusedFor(t, l.Server, "checksum"))
	key := "?cfg=(contentkey:" + b64(authority(t, trusted).ContentKey(kid0).Reveal()) + ")"
	isTrue(t, len(licensed(t, l, key, prAsk{header: header40(kid0, b64(stated))})) == 1)
}

// TestMicrosoftCodes: any code can be asked for.
func TestMicrosoftCodes(t *testing.T) {
	t.Parallel()
	l := startMicrosoft(t)
	for query, code := range map[string]soap.Code{
		"?cfg=(errorcode:0x8004c065)":              soap.CodeDeviceRevoked,
		"?cfg=(errorcode:0x8004C600)":              soap.CodeInternalError,
		"?cfg=(kid:header),(errorcode:0X8004c60d)": soap.CodeProtocolRedirect,
		"?cfg=(errorcode:0x8004c6ff)":              0x8004C6FF,
		"?cfg=(revoked:true)":                      soap.CodeDeviceRevoked,
		"?cfg=(msg:clientinfo)":                    soap.CodeServiceSpecific,
	} {
		_, got := askMicrosoft(t, l, query, prAsk{})
		answer, err := soap.ParseAnswer(got.body)
		must(t, err)
		f := answer.Fault
		if got.status != 500 || f == nil || f.Code != code || f.Actor != microsoftURL || (f.RedirectURL == microsoftURL) != (code == soap.CodeProtocolRedirect) || !refusedFor(t, l.Server, "errorcode") {
			t.Errorf("%s: status %d: %s", query, got.status, got.body)
		}
	}
	_, got := askMicrosoft(t, l, "?cfg=(errorcode:0x8004c065)", prAsk{sent: func(la string) string { return strings.Replace(la, "10.0.16384", "10.0.16385", 1) }})
	isTrue(t, got.status == 500 && !strings.Contains(string(got.body), "C065")) // what is wrong with a challenge counts first
}

// TestMicrosoftRefusals has queries that can't be read, or ask for what is not served.
func TestMicrosoftRefusals(t *testing.T) {
	t.Parallel()
	l := startMicrosoft(t)
	unpadded := base64.RawStdEncoding.EncodeToString(make([]byte, 16))
	for _, query := range []string{
		"cfg=", "cfg=()", "cfg=kid:header", "cfg=(kid:header", "cfg=kid:header)", "cfg=(kid:header)(sl:150)", "cfg=(kid:header),", "cfg=(kid:header),()",
		"cfg=(kid:header,)", "cfg=(kid)", "cfg=(:x)", "cfg=((kid:header))", "cfg=(kid:header,%20sl:150)", "cfg=(%zz)", "cfg=(sl:150)&cfg=(sl:150)",
		"cfg=(sl:1500)", "cfg=(sl:)", "cfg=(SL:150)", "cfg=(sl:150,sl:150)", "cfg=(level:150)", "cfg=(persist:yes)", "cfg=(persist:True)",
		"cfg=(kid:000102030405060708090a0b0c0d0e0f)", "cfg=(kid:" + unpadded + ")", "cfg=(kid:{" + kid0.String() + ")", "cfg=(kid:" + unknown.String() + ")",
		"cfg=(kid:" + b64(kid0[:]) + ")", // big-endian
		"cfg=(contentkey:" + unpadded + ")", "cfg=(contentkey:AAAA)", "cfg=(contentkey:" + b64(make([]byte, 16)) + ",ck:" + b64(make([]byte, 16)) + ")",
		"cfg=(keyseed:" + b64(make([]byte, 29)) + ")", "cfg=(keyseed:x)", "cfg=(ckt:keyexchange)", "cfg=(ckt:cocktail)", "cfg=(begindate:2017)", "cfg=(begindate:20171301)",
		"cfg=(enddate:2030-01-02)", "cfg=(enddate:21070101)", "cfg=(enddate:20300101,expiration:20300101)", "cfg=(firstexp:0)", "cfg=(firstexp:1m)",
		"cfg=(cvopl:1000)", "cfg=(cvopl:-1)", "cfg=(errorcode:0x80070005)", "cfg=(errorcode:8004c065)", "cfg=(errorcode:0x8004c06)", "cfg=(msg:hello)",
		"cfg=(tid:x)", "cfg=(isroot:true)", "cfg=(dvop:(x,y))", "cfg64=W10=", "PlayRight=1", "cfg=" + strings.Repeat("(sl:150),", 64) + "(sl:150)",
	} {
		_, got := askMicrosoft(t, l, "?"+query, prAsk{})
		answer, err := soap.ParseAnswer(got.body)
		must(t, err)
		if got.status != 500 || answer.Fault == nil || answer.Fault.Code != soap.CodeInvalidMessage || !refusedFor(t, l.Server, "cfg") {
			t.Errorf("%s: status %d: %s", query, got.status, got.body)
		}
	}
	_, got := askMicrosoft(t, l, "", prAsk{la: func(la *soap.LA) { la.CustomData = secret.New([]byte(`json=[{"sl":150}]`)) }})
	isTrue(t, got.status == 500 && refusedFor(t, l.Server, "cfg"))
	for _, query := range []string{"?other=1", "?CFG=x", "?cfg=(sl:150)&more"} { // a client with a misspelt name has to notice
		_, got := askMicrosoft(t, l, query, prAsk{})
		isTrue(t, got.status == 500 && refusedFor(t, l.Server, "argument"))
	}
}

// TestMicrosoftKeysStayIn: a key of the query stands in no answer and no record.
func TestMicrosoftKeysStayIn(t *testing.T) {
	t.Parallel()
	l, vault := startMicrosoft(t), secret.NewVault()
	key := []byte("FAKE content key")
	vault.Add("key of the query", secret.New(key))
	var said strings.Builder
	for _, more := range []string{"", ",sl:1500", ",errorcode:0x8004c604", ",persist:true", ",contentkey:x", ",x:y"} {
		_, got := askMicrosoft(t, l, "?cfg=(contentkey:"+b64(key)+more+")", prAsk{})
		fmt.Fprintf(&said, "%d %v %s\n", got.status, got.header, got.body)
	}
	seekSecrets(t, l.Server, vault, said.String(), strings.Repeat("no log\n", 1000))
}

// microsoftOddities are the faults as they are seen at the test server.
func microsoftOddities() []oddity {
	return []oddity{{"errorcode-ignored", func(t *testing.T, l lab) bool {
		_, got := askMicrosoft(t, l, "?cfg=(errorcode:0x8004c065)", prAsk{})
		return got.status == http.StatusOK
	}}}
}
