package doctor

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"keyflow/drm"
	"keyflow/drm/playready"
	"keyflow/drm/playready/soap"
	"keyflow/drm/provider"
	"keyflow/drm/widevine"
)

// The reasons of the license hop, beside those of packages provider, widevine and playready.
const (
	reasonGranted     drm.Reason = "license-to-unknown-device"
	reasonRedirect    drm.Reason = "redirect"
	reasonNotFound    drm.Reason = "not-found"
	reasonMethod      drm.Reason = "method-refused"
	reasonMediaType   drm.Reason = "content-type-refused"
	reasonAuth        drm.Reason = "authorization"
	reasonCertificate drm.Reason = "certificate-instead-of-license"
)

// license sends the key request. A service that refuses a device which it cannot know is alive and well.
func (w *walk) license(ctx context.Context) {
	w.needing(ctx, HopLicense, "", func(ctx context.Context, h *Hop) {
		lease, ok := w.usable(ctx, h)
		if !ok {
			return
		}
		session, err := w.Platform.Open(ctx, w.Ask.Box, drm.Options{CustomData: lease.CustomData})
		if err != nil {
			h.failSend(err)
			return
		}
		defer func() { _ = session.Close() }() // nothing of it is kept
		m, err := session.Request(ctx, drm.KindLicense)
		if err != nil {
			h.failSend(err)
			return
		}
		a, reply, err := w.post(ctx, h, w.build(lease, m), m.Kind)
		if err != nil {
			h.failSend(err)
			return
		}
		observation, err := session.Process(ctx, m.ID, reply.Body)
		if err != nil {
			h.failSend(err)
			return
		}
		h.say(fmt.Sprintf("HTTP %d, %d bytes", a.status, len(a.body)))
		w.judge(h, a, reply, observation, session)
	})
}

// usable returns a lease that a license request may use: the one that there is, or another where that is spent.
func (w *walk) usable(ctx context.Context, h *Hop) (*provider.Lease, bool) {
	err := w.lease.Use(drm.KindLicense)
	if err == nil {
		return w.lease, true
	}
	lease, err := w.Profile.Lease(ctx, w.Ask.Need)
	if err == nil {
		err = lease.Use(drm.KindLicense)
	}
	var budget *provider.BudgetError
	switch {
	case err == nil:
		h.say("with another token: the certificate request used the first one up")
		return lease, true
	case errors.As(err, &budget):
		h.end(Skipped, "", "the certificate request used the token up, and another costs one "+budget.Unit+": --budget 2 allows it", "")
	default:
		h.failSend(err)
	}
	return nil, false
}

// judge tells apart what a service can answer to the key request.
func (w *walk) judge(h *Hop, a answer, reply provider.Reply, o *drm.Observation, session drm.Session) {
	granted, keys := licensed(o, session)
	switch {
	case granted && w.Trusted && keys > 0:
		h.say(fmt.Sprintf("a license came; content keys in it: %d", keys))
	case granted && w.Trusted:
		f := firstFinding(o)
		h.fail(f.Reason, f.Expected, f.Seen, "the license cannot be used: keyflow check tells which requirement it misses")
	case granted:
		h.fail(reasonGranted, "a refusal: nobody can vouch for the device that asked", "a license", "the service gives licenses to devices that it cannot know: whoever reaches it gets the keys. Is it a test service that verifies nothing?")
	case reply.Class == provider.ClassOK && startsLikeCertificate(reply.Body):
		h.fail(reasonCertificate, "a license or a refusal", "a service certificate", "something on the way changes the request: a proxy that treats the body as text (TR-10)?")
	default:
		w.judgeRefusal(h, a, reply, o)
	}
}

// licensed reports whether a license came, and how many keys it gave.
func licensed(o *drm.Observation, session drm.Session) (bool, int) {
	keys := 0
	for _, l := range session.Licenses() {
		keys += len(l.Keys)
	}
	switch d := o.Detail.(type) {
	case *widevine.Answer:
		return d.License != nil, keys
	case *playready.Answer:
		return len(d.Licenses) > 0, keys
	}
	return keys > 0, keys
}

func firstFinding(o *drm.Observation) drm.Finding {
	if f := o.Fatal(); f != nil {
		return *f
	}
	if len(o.Findings) > 0 {
		return o.Findings[0]
	}
	return drm.Finding{Reason: widevine.ReasonNoContentKeys, Expected: "content keys", Seen: "none"}
}

// alive is what a refusal says of a device that the service cannot know.
const alive = "reached the license service; it refused an unknown device, as it should"

func (w *walk) judgeRefusal(h *Hop, a answer, reply provider.Reply, o *drm.Observation) {
	if device := deviceRefused(o); device != "" || reply.Error != nil && reply.Error.Class == provider.ErrorDeviceRejected {
		if device != "" {
			h.say(device)
		} else {
			h.say(reply.Error.String())
		}
		if w.Trusted {
			h.fail(drm.Reason(provider.ErrorDeviceRejected), "a license", "the service does not trust the device", "is the authority or identity that of this service, and not of another one or of an earlier run?")
			return
		}
		h.say(alive)
		return
	}
	v := w.readRefusal(a, reply)
	if reply.Class == provider.ClassOK || v.class == "" && fault(o) != nil {
		f := firstFinding(o)
		v = refusal{reason: f.Reason, seen: f.Seen, hint: "a good status with a body that is no license: is the answer unwrapped as the service wraps it (response.unwrap)?"}
		if fault(o) != nil {
			v.hint = "the service's fault says what it misses; errors of the profile can give it a class"
		}
	}
	switch {
	case w.Trusted:
	case v.class == provider.ErrorKeyUnknown && w.Canned:
		h.say(v.seen)
		h.say("reached the license service; it does not know the content of the canned request, which is keyflow's own")
		return
	case v.class == provider.ErrorPolicyRefused:
		h.say(v.seen)
		h.say("reached the license service; its policy refused the request")
		return
	case v.class == provider.ErrorNotEntitled && w.Canned:
		h.end(Unclear, drm.Reason(v.class), v.seen+": the token was understood; whether it is for your content the canned request cannot tell", v.hint)
		return
	case v.ambiguous(w.Profile, a.status):
		h.end(Unclear, v.reason, v.seen+": it may be how the service refuses a device that it does not know", v.hint)
		return
	}
	h.fail(v.reason, expectedOf(w.Trusted), v.seen, v.hint)
}

func expectedOf(trusted bool) string {
	if trusted {
		return "a license"
	}
	return "a refusal of the unknown device by the license service"
}

// deviceRefused returns what an answer says of the device in the words of its system, "" for nothing.
func deviceRefused(o *drm.Observation) string {
	if d, ok := o.Detail.(*widevine.Answer); ok && d.Error != nil && d.Error.GetErrorCode() != 0 {
		if code := d.Error.GetErrorCode().String(); code != "SERVICE_UNAVAILABLE" {
			return "LicenseError " + code
		}
	}
	if f := fault(o); f != nil && f.Code == soap.CodeDeviceRevoked {
		return f.Error()
	}
	return ""
}

func fault(o *drm.Observation) *soap.Fault {
	if d, ok := o.Detail.(*playready.Answer); ok {
		return d.Fault
	}
	return nil
}

// refusal is an answer that is no license, in words.
type refusal struct {
	reason drm.Reason
	class  provider.ErrorClass // "" if the profile says nothing of it
	seen   string
	hint   string
}

// ambiguous reports whether a refusal may be one of the device: servers name that in many ways.
func (r refusal) ambiguous(p *provider.Profile, status int) bool {
	switch r.class {
	case provider.ErrorRequestMalformed, provider.ErrorRequestUnsupported:
		return true
	case "", provider.ErrorUnclassified:
		return status == http.StatusBadRequest || status == http.StatusForbidden && !p.TakesToken() || r.reason == playready.ReasonFault
	}
	return false
}

// readRefusal reads an answer that is no license in the order of the sheet (providers.md §7.4): redirect, status, edge or
// service, the provider's code.
func (w *walk) readRefusal(a answer, reply provider.Reply) refusal {
	r := refusal{reason: provider.ReasonStatus, seen: fmt.Sprintf("HTTP %d %s", a.status, http.StatusText(a.status)), hint: "errors of the profile can say what this answer means; the provider's document tells"}
	if len(reply.Problems) > 0 {
		r.reason, r.seen = reply.Problems[0].Reason, reply.Problems[0].Seen
	}
	if a.status >= 300 && a.status < 400 {
		return redirected(a, r)
	}
	if e := reply.Error; e != nil && e.Class != provider.ErrorUnclassified {
		r.class, r.reason, r.hint = e.Class, drm.Reason(e.Class), classHints[e.Class]
		r.seen = fmt.Sprintf("HTTP %d, which the profile calls %s", a.status, e)
		if a.status == http.StatusNotFound && e.Class != provider.ErrorKeyUnknown {
			r.hint = hintNotFound
		}
		return r
	}
	switch {
	case reply.Class == provider.ClassEdgeHTML:
		r.class, r.hint = provider.ErrorEdgeHTML, classHints[provider.ErrorEdgeHTML]
	case r.reason == provider.ReasonForm, r.reason == provider.ReasonStatusInside:
		r.hint = "the status is good and the body is no license: is it unwrapped as the service wraps it (response.unwrap)? errors of the profile can give a refusal inside of it a class"
	case r.reason == provider.ReasonEmpty:
		r.hint = "a good status without a body: did the service, or a proxy before it, see the request's body at all?"
	case a.status == http.StatusNotFound:
		r.reason, r.hint = reasonNotFound, hintNotFound
	case a.status == http.StatusMethodNotAllowed:
		r.reason, r.hint = reasonMethod, "the path takes no POST: is it that of the license service, or of its status page?"
	case a.status == http.StatusUnsupportedMediaType:
		r.reason, r.hint = reasonMediaType, fmt.Sprintf("the service wants another content type than %q: request.content_type of the profile (TR-05)", w.Profile.Request.ContentType)
	case a.status == http.StatusUnauthorized, a.status == http.StatusForbidden:
		r.reason, r.hint = reasonAuth, "the token or the account is refused, or this address is not let in; errors of the profile can tell which"
	case a.status == http.StatusTooManyRequests:
		r.reason, r.hint = drm.Reason(provider.ErrorRateLimited), classHints[provider.ErrorRateLimited]
	case a.status >= 500:
		r.hint = classHints[provider.ErrorServerFault]
	}
	return r
}

const hintNotFound = "the host answers and knows no such path: compare the license URL with the provider's document, slash at its end included"

// redirected tells where a redirect leads that is not followed, without its query, which may hold a token.
func redirected(a answer, r refusal) refusal {
	r.reason, r.hint = reasonRedirect, "give the final URL to players: many do not follow a redirect of a POST, and a token must not follow to another host (TR-07). redirects.policy of the profile follows 307 and 308"
	where := "nowhere"
	if to, err := url.Parse(a.header.Get("Location")); err == nil && a.header.Get("Location") != "" {
		to.RawQuery, to.Fragment, to.User = "", "", nil
		where = to.String()
	}
	r.seen = fmt.Sprintf("HTTP %d to %.200s", a.status, where)
	return r
}
