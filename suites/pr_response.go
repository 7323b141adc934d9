package suites

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"keyflow/drm"
	"keyflow/drm/playready"
	"keyflow/drm/playready/soap"
	"keyflow/drm/provider"
	"keyflow/reports"
)

const (
	reasonResponseIDRepeated drm.Reason = "response-id-repeated"
	reasonTransaction        drm.Reason = "transaction-id-repeated"
	reasonCacheable          drm.Reason = "cacheable"
	reasonRedirectURL        drm.Reason = "redirect-url"
)

// playReadyResponse are the checks of persistent responses, acknowledgements and answers over HTTP (sheet playready.md §14.4,
// §14.6).
func playReadyResponse() []Check {
	return []Check{
		{
			ID: "PR-NON-03", Title: "A response with a persistent license echoes the request's LicenseNonce",
			Level: reports.Must, Source: "Microsoft's documents; sheet playready.md §14.4, §8.1",
			Why:   "It is what binds a license that may be stored to the challenge that asked for it.",
			Hint:  "Is the nonce taken from this challenge, or from a cached response?",
			Kills: []Kill{{"pr-nonce-of-another", reports.Fail, playready.ReasonNonce}},
			Run:   func(e *Env) { e.FailOn(Require(e, havePersistent).Observation, playready.ReasonNonce) },
		},
		{
			ID: "PR-RSP-01", Title: "A response with a persistent license has a ResponseID of 32 bytes, a signer's chain and a signature",
			Level: reports.Must, Source: "Microsoft's documents; sheet playready.md §14.4, §8.1",
			Why:   "Clients do not store a license that nobody signed for.",
			Hint:  "Which path of the server issues persistent licenses, and does it sign?",
			Kills: []Kill{{"pr-response-unsigned", reports.Fail, playready.ReasonUnsigned}},
			Run: func(e *Env) {
				e.FailOn(Require(e, havePersistent).Observation, playready.ReasonUnsigned, playready.ReasonResponseID)
			},
		},
		{
			ID: "PR-RSP-02", Title: "The response's digest and signature verify under a chain to the trusted root",
			Level: reports.Must, Source: "Microsoft's documents, protocol necessity; sheet playready.md §14.4, §7.5",
			Why:  "A response that was changed on its way, or signed by anybody, must not be stored.",
			Hint: "Is the string that is hashed the string that is sent, down to white space?",
			Kills: []Kill{
				{"pr-response-digest", reports.Fail, playready.ReasonDigest},
				{"pr-response-signer-foreign", reports.Fail, playready.ReasonSigner},
			},
			Run: func(e *Env) {
				x := Require(e, haveSigned)
				e.FailOn(x.Observation, playready.ReasonDigest, playready.ReasonSignature, playready.ReasonSigner)
			},
		},
		{
			ID: "PR-RSP-03", Title: "Every response has a ResponseID of its own",
			Level: reports.Should, Source: "practice; sheet playready.md §14.4",
			Why:   "It names the response in logs and in what clients report.",
			Hint:  "Is the id drawn for every response?",
			Kills: []Kill{{"pr-response-id-constant", reports.Warn, reasonResponseIDRepeated}},
			Run: func(e *Env) {
				seen := map[string]int{}
				for i := range freshLicenses {
					id := string(Require(e, haveSigned).PlayReady().Body.Response.ResponseID)
					e.unique(seen, id, i, Failure{Reason: reasonResponseIDRepeated, Expected: "a ResponseID of its own for every response"})
				}
				e.Note("%d responses compared", freshLicenses)
			},
		},
		{
			ID: "PR-ACK-01", Title: "A response that wants an acknowledgement has a transaction id of its own",
			Level: reports.Should, Source: "Microsoft's documents; sheet playready.md §14.4, §8.3",
			Why:   "With one id for all, an acknowledgement says nothing about whose license was stored.",
			Hint:  "Is the id drawn for every response?",
			Kills: []Kill{{"pr-transaction-id-constant", reports.Warn, reasonTransaction}},
			Run: func(e *Env) {
				seen := map[string]int{}
				for i := range freshLicenses {
					e.unique(seen, e.transaction(), i, Failure{Reason: reasonTransaction, Expected: "a transaction id of its own for every response"})
				}
				e.Note("%d responses compared", freshLicenses)
			},
		},
		{
			ID: "PR-ACK-02", Title: "An acknowledgement of an unknown transaction is refused (keyflow's fakes only: the message is not public)",
			Level: reports.May, Source: "one implementation lineage; sheet playready.md §14.4, §8.3",
			Why:   "A server that takes any id counts licenses that it never gave out.",
			Hint:  "Are the ids that were handed out kept, and compared?",
			Kills: []Kill{{"pr-unknown-transaction-accepted", reports.Info, reasonAccepted}},
			Run:   unknownTransaction,
		},
		{
			ID: "PR-HTTP-02", Title: "An application redirect, 0x8004C60D, carries an absolute RedirectUrl",
			Level: reports.Should, Source: "Microsoft's documents, practice; sheet playready.md §14.6, §6",
			Why:   "The client has nowhere else to go.",
			Hint:  "Is RedirectUrl filled in, with scheme and host?",
			Kills: []Kill{{"pr-redirect-empty", reports.Warn, reasonRedirectURL}},
			Run:   redirectIsAbsolute,
		},
		{
			ID: "PR-HTTP-03", Title: "License responses must not be cached",
			Level: reports.Should, Source: "practice; sheet playready.md §14.6",
			Why:   "A cache between client and server answers the next challenge with the last one's license.",
			Hint:  "Send Cache-Control: no-store, or private.",
			Kills: []Kill{{"pr-cacheable", reports.Warn, reasonCacheable}},
			Run:   notCacheable,
		},
	}
}

var (
	// havePersistent gets a response with a license that may be stored. Where the server gives none the check does not apply.
	havePersistent = Step[*Exchange]{"get a persistent license", func(e *Env) (*Exchange, error) {
		x := Require(e, haveXMR)
		if !slices.ContainsFunc(x.PlayReady().Licenses, func(l playready.License) bool { return !l.XMR.CannotPersist }) {
			e.NotApplicable("the server's licenses stay in memory")
		}
		return x, nil
	}}
	// haveSigned gets a signed response.
	haveSigned = Step[*Exchange]{"get a signed response", func(e *Env) (*Exchange, error) {
		x := Require(e, haveXMR)
		if x.PlayReady().Body.Signature != nil {
			return x, nil
		}
		Require(e, havePersistent)
		return x, drm.Finding{Reason: playready.ReasonUnsigned, Step: "read the answer", Expected: "a signature", Seen: "none"}
	}}
)

// transaction returns the id of the acknowledgement that a response wants. Where it wants none the check does not apply.
func (e *Env) transaction() string {
	id := Require(e, haveResponse).PlayReady().Body.Response.Transaction
	if id == "" {
		e.NotApplicable("the server wants no acknowledgement")
	}
	return id
}

func unknownTransaction(e *Env) {
	if e.Kind == Server && e.PlatformKind != PlatformHarness {
		e.NotApplicable("what an acknowledgement looks like is not public: it is sent to keyflow's fakes only")
	}
	e.transaction()
	body := soap.AcknowledgementBody(drm.KID(random16()).String())
	const step = "acknowledge an unknown transaction"
	x, err := e.exchange(e.Platform, Require(e, HaveBox), call{kind: drm.KindLicense, body: instead(body), edit: func(r *provider.Request) {
		editAction(r, func(string) string { return soap.ActionHeader(soap.ActionAcknowledgeLicense) })
	}})
	if err != nil {
		e.block("get an answer to an acknowledgement", err)
	}
	if f := x.PlayReady().Fault; f == nil || f.Code != soap.CodeUnknownTransactionID {
		seen := fmt.Sprintf("HTTP %d without a fault", x.Status)
		if f != nil {
			seen = f.Code.String()
		}
		e.Fail(Failure{Reason: reasonAccepted, Step: step, Expected: "a fault with code " + soap.CodeUnknownTransactionID.String(), Seen: seen})
	}
}

// editAction changes the SOAPAction of a request.
func editAction(r *provider.Request, edit func(string) string) {
	for name := range r.Header {
		if strings.EqualFold(name, "SOAPAction") {
			r.Header[name] = []string{edit(r.Header[name][0])}
		}
	}
}

func redirectIsAbsolute(e *Env) {
	x := Require(e, HaveAnswer)
	last := x.PlayReady().Fault
	switch {
	case last != nil && last.Code == soap.CodeProtocolRedirect && !absolute(last.RedirectURL):
		e.Fail(Failure{Reason: reasonRedirectURL, Step: "read the redirect", Expected: "an absolute RedirectUrl", Seen: fmt.Sprintf("%.100q", last.RedirectURL)})
	case len(x.Redirects) == 0 && (last == nil || last.Code != soap.CodeProtocolRedirect):
		e.NotApplicable("the server does not redirect")
	}
	e.Note("redirected %d times", len(x.Redirects))
}

func absolute(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.IsAbs() && u.Host != ""
}

func notCacheable(e *Env) {
	x := Require(e, haveResponse)
	control := strings.ToLower(strings.Join(x.Header.Values("Cache-Control"), ","))
	old := strings.EqualFold(x.Header.Get("Pragma"), "no-cache") && x.Header.Get("Expires") != ""
	if !strings.Contains(control, "no-store") && !strings.Contains(control, "private") && !strings.Contains(control, "no-cache") && !old {
		seen := "no header that forbids it; the answer to a POST is seldom cached, but may be"
		if control != "" {
			seen = "Cache-Control: " + control
		}
		e.Fail(Failure{Reason: reasonCacheable, Step: stepHTTP, Expected: "Cache-Control: no-store or private", Seen: seen})
	}
}

// playReadyTerms are checks of what licenses state, beside those of pr_policy.go (sheet playready.md §14.3).
func playReadyTerms() []Check {
	return []Check{
		{
			ID: "PR-POL-07", Title: "The settings of a license fit the response that it came in",
			Level: reports.Must, Source: "Microsoft's documents, protocol necessity; sheet playready.md §14.3, §8.1",
			Why:   "A client stores a license that should stay in memory, or loses one that should be stored.",
			Hint:  "Does the bit \"cannot persist\" come from the same policy as the response's form?",
			Kills: []Kill{{"pr-settings-inverted", reports.Fail, reasonSettings}},
			Run:   settingsFit,
		},
		{
			ID: "PR-POL-08", Title: "A license in memory that ends carries real-time expiration",
			Level: reports.Should, Source: "Microsoft's documents, practice; sheet playready.md §14.3",
			Why:   "Without it playback that has begun goes on after the license's end.",
			Hint:  "Is object 0x0055 in every such license?",
			Kills: []Kill{{"pr-real-time-missing", reports.Warn, reasonRealTime}},
			Run: func(e *Env) {
				e.eachLimited(func(l playready.License) *Failure {
					if l.XMR.CannotPersist && !l.XMR.RealTimeExpiration {
						return &Failure{Reason: reasonRealTime, Expected: "real-time expiration beside the end " + stamp(l.XMR.End), Seen: "none"}
					}
					return nil
				})
			},
		},
		{
			ID: "PR-POL-09", Title: "Output protection levels are values that clients know",
			Level: reports.Must, Source: "Microsoft's documents; sheet playready.md §14.3, §9.2",
			Why:   "A level that is not in the list is taken for the highest, and blocks outputs that should work.",
			Hint:  "Are the five levels in order: compressed and uncompressed digital video, analog video, compressed and uncompressed digital audio?",
			Kills: []Kill{{"pr-output-order", reports.Fail, reasonOutput}},
			Run:   outputLevels,
		},
	}
}

const (
	reasonSettings drm.Reason = "settings"
	reasonRealTime drm.Reason = "real-time-missing"
	reasonOutput   drm.Reason = "output-level"
)

// settingsFit: a response that echoes no nonce is bound by Rights IDs, so that its license must stay in memory; one whose Rights
// ID is not from the nonce is bound by the response's, so that it may be stored.
func settingsFit(e *Env) {
	x := Require(e, haveXMR)
	first, echoed := x.PlayReady().Licenses[0].XMR, x.PlayReady().Body.Response.Nonce != ""
	sent, err := soap.ParseChallenge(x.Message.Body)
	if err != nil {
		e.block("read the challenge", &HarnessError{err})
	}
	fromNonce := sent.Nonce == base64.StdEncoding.EncodeToString(first.RightsID[:])
	switch {
	case !first.CannotPersist && fromNonce && !echoed:
		e.Fail(Failure{Reason: reasonSettings, Step: "read the license", Expected: "\"cannot persist\": the Rights ID is the nonce, and the response echoes none", Seen: "a license that may be stored"})
	case first.CannotPersist && !fromNonce && echoed:
		e.Fail(Failure{Reason: reasonSettings, Step: "read the license", Expected: "a license that may be stored: the response echoes the nonce, and the Rights ID is another", Seen: "\"cannot persist\""})
	}
}

func outputLevels(e *Env) {
	audio := []uint16{100, 150, 200, 250, 300}
	stated := 0
	for _, l := range Require(e, haveXMR).PlayReady().Licenses {
		o := l.XMR.Output
		if o == nil {
			continue
		}
		stated++
		for _, level := range []struct {
			name    string
			seen    uint16
			allowed []uint16
		}{
			{"compressed digital video", o.CompressedVideo, []uint16{400, 500}},
			{"uncompressed digital video", o.UncompressedVideo, []uint16{100, 250, 270, 300}},
			{"analog video", o.AnalogVideo, []uint16{100, 150, 200}},
			{"compressed digital audio", o.CompressedAudio, audio},
			{"uncompressed digital audio", o.UncompressedAudio, audio},
		} {
			if !slices.Contains(level.allowed, level.seen) {
				e.Fail(Failure{Reason: reasonOutput, Step: "read the license", Expected: fmt.Sprintf("for %s one of %v", level.name, level.allowed), Seen: fmt.Sprint(level.seen)})
			}
		}
	}
	if stated == 0 {
		e.NotApplicable("the server's licenses state no output protection")
	}
}
