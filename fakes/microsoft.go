package fakes

import (
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"keyflow/drm"
	"keyflow/drm/playready/soap"
	"keyflow/drm/playready/xmr"
	"keyflow/drm/pssh"
	"keyflow/drm/secret"
)

// microsoftRole is Microsoft's public PlayReady test server (sheet providers.md §2.15, playready.md §12).
func microsoftRole() role {
	r := role{StandInInfo: StandInInfo{Name: "microsoft", Title: "Microsoft PlayReady test server", Systems: []drm.System{drm.PlayReady}}}
	for _, path := range []string{"/service/rightsmanager.asmx", "/core/rightsmanager.asmx"} {
		r.routes = append(r.routes, route{
			hosts: []string{"test.playready.microsoft.com"}, path: path, system: drm.PlayReady, query: []string{"cfg", "cfg64", "PlayRight", "FirstPlayExpiration"}, open: func() provider { return &microsoft{} },
		})
	}
	return r
}

// testKeySeed is the published one that keys follow from (sheet playready.md §5).
var testKeySeed, _ = hex.DecodeString("5d5068bec9b384ff6044867159f16d6b755544fcd5116989b1acc4278e88")

// Reasons of refusals by the test server.
const (
	reasonSyntax drm.Reason = "cfg"       // it can't be read, or asks for what is not served here
	reasonForced drm.Reason = "errorcode" // the request asked to be refused
)

// microsoft is the test server in one conversation. Nobody needs a token: the query says which licenses there are to be.
type microsoft struct {
	bare
	cfg   []string // as sent, but for percent-encoding
	other bool     // a syntax that is not served here
}

// unwrap takes the query apart by hand: a plus sign in it is one, as the document has it.
func (m *microsoft) unwrap(_ *exchange, r *http.Request, body []byte) []byte {
	for pair := range strings.SplitSeq(r.URL.RawQuery, "&") {
		name, value, _ := strings.Cut(pair, "=")
		switch name {
		case "cfg":
			text, err := url.PathUnescape(value)
			if err != nil {
				text = " " // as wrong as it can be
			}
			m.cfg = append(m.cfg, text)
		case "cfg64", "PlayRight", "FirstPlayExpiration":
			m.other = true
		}
	}
	return body
}

// authorize makes the entitlement of what the query says. Which codes the server has for a query that it can't read is not
// documented.
func (m *microsoft) authorize(x *exchange) *refusal {
	if m.other || strings.HasPrefix(string(x.challenge.CustomData.Reveal()), "json=") {
		return x.fault(reasonSyntax, soap.CodeInvalidMessage, "of the ways to ask for licenses only cfg is served here")
	}
	groups := []cfgGroup{newGroup()}
	if len(m.cfg) > 0 {
		var f *flaw
		if groups, f = readCfg(strings.Join(m.cfg, "&")); f != nil {
			return x.fault(f.reason, soap.CodeInvalidMessage, f.text)
		}
	}
	x.entitlement = &entitlement{}
	for _, g := range groups {
		if refused := m.add(x, g); refused != nil {
			return refused
		}
	}
	return nil
}

// add adds the licenses that a group asks for, or the fault.
func (m *microsoft) add(x *exchange, g cfgGroup) *refusal {
	switch {
	case g.code != 0 && !x.acts(faultErrorCode):
		f := soap.Fault{Code: g.code, Text: "the request asked for this code"}
		if g.code == soap.CodeProtocolRedirect {
			f.RedirectURL = x.asked
		}
		return x.faultOf(reasonForced, f)
	case g.clientInfo:
		return x.fault(reasonForced, soap.CodeServiceSpecific, "client information: LA version "+x.challenge.Version)
	}
	kids := x.record.KIDs
	if g.kid != nil {
		if kids = []drm.KID{*g.kid}; !slices.Contains(x.record.KIDs, *g.kid) {
			return x.fault(reasonSyntax, soap.CodeInvalidMessage, "kid of cfg is not in the header of the content")
		}
	}
	for _, kid := range kids {
		key := g.key
		if key.IsZero() {
			var err error
			if key, err = pssh.KeyFromSeed(g.seed, kid); err != nil {
				return x.fault(reasonSyntax, soap.CodeInvalidMessage, "keyseed has fewer than 30 bytes")
			}
		}
		x.entitlement.terms = append(x.entitlement.terms, terms{kid: kid, key: key, track: g.track, grant: g.grant})
	}
	return nil
}

// cfgGroup is what one group of a query asks for.
type cfgGroup struct {
	kid                *drm.KID     // nil: each of the header
	key                secret.Bytes // empty: follows from the seed
	seed               secret.Bytes
	keyType            xmr.KeyType // 0: as the header says
	level              int
	persist, realTime  bool
	begin, end         time.Time // zero: no bound
	firstPlay          time.Duration
	output             *xmr.OutputProtection
	unknownSD, unknown bool // outputs are allowed
	code               soap.Code
	clientInfo         bool
}

// newGroup is what a request without a query asks for.
func newGroup() cfgGroup {
	return cfgGroup{level: leastSecurityLevel, seed: secret.New(testKeySeed)}
}

func (g cfgGroup) track(t *Track) {
	t.PlayReady = PlayReadyTrack{SecurityLevel: g.level, Persistent: g.persist, InMemory: !g.persist, FirstPlay: g.firstPlay, Output: g.output}
}

func (g cfgGroup) grant(l *xmr.Grant) {
	l.Begin, l.End, l.RealTimeExpiration = g.begin, g.end, g.realTime
	if g.keyType != 0 {
		l.KeyType = g.keyType
	}
	if g.unknownSD {
		l.PlayEnablers = append(l.PlayEnablers, xmr.ConstrainedUnknownOutput)
	}
	if g.unknown {
		l.PlayEnablers = append(l.PlayEnablers, xmr.UnknownOutput)
	}
}
