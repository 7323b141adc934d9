package fakes

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"time"

	"keyflow/drm"
	"keyflow/drm/playready/xmr"
)

// expressPlay is ExpressPlay's license service in one conversation (sheet providers.md §2.1): requests and answers are raw.
type expressPlay struct {
	bare
	query, header string // the token there; "" for none
	errorFormat   string
}

func (e *expressPlay) unwrap(_ *exchange, r *http.Request, body []byte) []byte {
	query := r.URL.Query()
	e.query, e.header, e.errorFormat = query.Get(expressPlayTokenName), r.Header.Get(expressPlayTokenName), query.Get("errorFormat")
	return body
}

// token returns that of the query, else that of the header, else for PlayReady the custom data, which is the whole of it.
func (e *expressPlay) token(x *exchange) string {
	switch {
	case e.query != "":
		return x.tokenInQuery(e.query)
	case e.header != "":
		return e.header
	}
	return x.customToken()
}

// authorize decides on a key request's token and keeps what it entitles to; a certificate request needs none (sheet providers.md
// §5.1). The sheet has no code for a license request without a token, and doesn't know the one for an expired token; these are
// the token service's for the same things.
func (e *expressPlay) authorize(x *exchange) *refusal {
	if x.request.operation == drm.KindCertificate {
		x.spendOnCertificate(cmp.Or(e.query, e.header))
		return nil
	}
	token := e.token(x)
	if token == "" {
		if x.acts(faultNotEnforced) {
			return nil
		}
		return e.deny(x, &problem{http.StatusBadRequest, codeAuthenticatorMissing, reasonTokenMissing, "ExpressPlayToken is missing"})
	}
	r, err := x.server.tokens.open(token, x.record.System)
	if errors.Is(err, errTokenSignature) && x.acts(faultTokenSignature) {
		err = nil
	}
	if err != nil {
		return e.deny(x, &problem{http.StatusUnauthorized, codeTokenInvalid, reasonTokenInvalid, "ExpressPlayToken is not valid"})
	}
	if x.server.spent.has(token) {
		return e.deny(x, &problem{http.StatusUnauthorized, codeTokenInvalid, reasonTokenReused, "ExpressPlayToken has been used"})
	}
	if (validity{minted: r.issued, ends: r.expires}).judge(x) != nil {
		return e.deny(x, &problem{http.StatusUnauthorized, codeExpiration, reasonTokenExpired, "ExpressPlayToken has expired"})
	}
	if ends := r.playReady.ends; !ends.IsZero() && !x.now.Before(ends) {
		return e.deny(x, &problem{code: codeExpiration, reason: reasonRentalEnded, text: "the rental has ended"})
	}
	x.entitlement = r.entitlement(x, func() *refusal {
		return e.deny(x, &problem{http.StatusUnauthorized, codeTokenInvalid, reasonTokenKID, "ExpressPlayToken is not for this content"})
	})
	return nil
}

// deny returns the problem as the license service of the system answers it. That PlayReady's is the SOAP fault of a service's own
// refusals, with number and text as its custom data, is the fake's choice: the sheet has pages of errors for both services and
// doesn't say what becomes of them where clients expect SOAP (sheet providers.md §2.1, playready.md §8.4).
func (e *expressPlay) deny(x *exchange, p *problem) *refusal {
	if x.record.System == drm.PlayReady {
		return x.tokenFault(&flaw{p.reason, p.text}, fmt.Sprintf("Error %d: %s", p.code, p.text))
	}
	return p.refusal(e.errorFormat)
}

// entitlement returns what the rights are for: one KID.
func (r *rights) entitlement(x *exchange, foreign func() *refusal) *entitlement {
	rest := terms{
		track: func(t *Track) { t.Level, t.HDCP = r.level, r.hdcp },
		grant: func(g *xmr.Grant) { r.playReady.entitle(x, g) },
	}
	own := rest
	own.kid, own.key = r.kid, r.key
	policy := func(p *drm.Policy) {
		if r.plays > 0 {
			p.Playback = r.plays
		}
	}
	return &entitlement{terms: []terms{own}, rest: rest, policy: policy, foreign: foreign}
}

// entitle makes a license say what the token gives, in the place of what the server's own policy says. What is bought has no
// end. A token that names no behavior of unknown outputs allows none, which is the fake's choice.
func (p playReadyRights) entitle(x *exchange, g *xmr.Grant) {
	g.CannotPersist, g.FirstPlay, g.Output = !p.persistent, p.plays, &p.output
	g.Begin, g.End = time.Time{}, p.ends
	if !p.ends.IsZero() {
		g.Begin = x.begin()
	}
	g.RealTimeExpiration = g.CannotPersist && (!g.End.IsZero() || g.FirstPlay > 0)
	switch p.unknown {
	case unknownOutputAllow:
		g.PlayEnablers = []xmr.GUID{xmr.UnknownOutput}
	case unknownOutputSDOnly:
		g.PlayEnablers = []xmr.GUID{xmr.ConstrainedUnknownOutput}
	}
}
