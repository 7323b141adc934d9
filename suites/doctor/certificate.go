package doctor

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"keyflow/drm"
	"keyflow/drm/provider"
	"keyflow/drm/secret"
	"keyflow/drm/widevine"
	"keyflow/suites"
)

// certificate gets the Widevine service certificate as the profile has it, and reads it.
func (w *walk) certificate(ctx context.Context) {
	none := ""
	switch mode := w.Profile.Certificate.Mode; {
	case w.Profile.DRM == drm.PlayReady:
		none = "PlayReady has no service certificate"
	case mode == "none", mode == "unsupported":
		none = "the profile has certificate.mode " + mode
	}
	if none != "" {
		w.hop(ctx, HopCertificate, "", func(_ context.Context, h *Hop) { h.end(NotNeeded, "", none, "") })
		return
	}
	if w.Profile.Certificate.Mode == provider.CertificateURL && w.lease != nil && !w.stopped {
		if u, err := url.Parse(w.build(w.lease, drm.Message{Kind: drm.KindCertificate, Body: shortest}).URL); err == nil && u.Hostname() != "" {
			w.host(ctx, u, w.TLS)
		}
	}
	run := w.needing
	if w.Profile.Certificate.Mode == provider.CertificateEmbedded {
		run = func(ctx context.Context, id, subject string, f func(context.Context, *Hop)) {
			w.hop(ctx, id, subject, f)
		}
	}
	run(ctx, HopCertificate, "", func(ctx context.Context, h *Hop) {
		session, err := w.Platform.Open(ctx, w.Ask.Box, drm.Options{})
		if err != nil {
			h.failSend(err)
			return
		}
		defer func() { _ = session.Close() }() // nothing of it is kept
		message, err := session.Request(ctx, drm.KindCertificate)
		if err != nil {
			h.failSend(err)
			return
		}
		body, ok := w.certificateAnswer(ctx, h, message)
		if !ok {
			return
		}
		observation, err := session.Process(ctx, message.ID, body)
		if err != nil {
			h.failSend(err)
			return
		}
		w.judgeCertificate(h, observation)
	})
}

// certificateAnswer returns the answer to a certificate request, unwrapped.
func (w *walk) certificateAnswer(ctx context.Context, h *Hop, m drm.Message) ([]byte, bool) {
	if w.Profile.Certificate.Mode == provider.CertificateEmbedded {
		file, err := suites.EmbeddedCertificate(w.Profile)
		if err != nil {
			h.fail(widevine.ReasonCertificateForm, "the file of certificate.file", err.Error(), "certificate.file of the profile names it")
			return nil, false
		}
		h.say("read from " + w.Profile.Certificate.File)
		return file, true
	}
	if err := w.lease.Use(drm.KindCertificate); err != nil {
		h.fail(provider.ReasonStatus, "a lease that can be used", err.Error(), "")
		return nil, false
	}
	r := w.build(w.lease, m)
	a, reply, err := w.post(ctx, h, r, m.Kind)
	if err != nil {
		h.failSend(err)
		return nil, false
	}
	h.say(fmt.Sprintf("HTTP %d, %d bytes", a.status, len(a.body)))
	if reply.Class != provider.ClassOK {
		v := w.readRefusal(a, reply)
		hint := v.hint
		if reply.Class == provider.ClassRefused && (reply.Error == nil || reply.Error.Class == provider.ErrorUnclassified || reply.Error.Class == provider.ErrorRequestMalformed) && a.status != http.StatusUnauthorized {
			hint = "does a proxy drop or parse bodies of 2 bytes? A service that has no certificate is told so in the profile: certificate: {mode: unsupported}"
		}
		h.fail(v.reason, "a service certificate", v.seen, hint)
		return nil, false
	}
	return reply.Body, true
}

func (w *walk) judgeCertificate(h *Hop, o *drm.Observation) {
	a, ok := o.Detail.(*widevine.CertificateAnswer)
	if f := o.Fatal(); f != nil || !ok || a.Certificate == nil {
		if f == nil {
			f = o.Find(widevine.ReasonCertificateForm, widevine.ReasonCertificateParse, widevine.ReasonMessageType, widevine.ReasonNotProtobuf, widevine.ReasonEmptyAnswer, widevine.ReasonLicenseError)
		}
		if f == nil {
			f = &drm.Finding{Reason: widevine.ReasonCertificateParse, Expected: "a service certificate", Seen: "none"}
		}
		hint := "is the answer unwrapped as the service wraps it (response.unwrap, certificate.wrap)? The first bytes of a service certificate are 08 05"
		switch f.Reason {
		case widevine.ReasonCertificateSignature:
			hint = "the vendor's root did not sign it: is it the certificate that the vendor issued? A keyflow fake has a root of its own: give it with --authority DIR"
		case widevine.ReasonCertificateExpired:
			hint = "browsers refuse it from now on: is a renewed certificate waiting to be installed?"
		}
		h.fail(f.Reason, f.Expected, f.Seen, hint)
		return
	}
	fields := a.Certificate.Fields
	h.say(fmt.Sprintf("provider %q, serial fingerprint %s, made %s, %s", fields.GetProviderId(), secret.FingerprintOf(fields.GetSerialNumber()),
		time.Unix(int64(fields.GetCreationTimeSeconds()), 0).UTC().Format(time.DateOnly), expiry(fields.GetExpirationTimeSeconds(), w.clock().Now())))
	if len(o.Findings) > 0 {
		h.fail(o.Findings[0].Reason, o.Findings[0].Expected, o.Findings[0].Seen, "keyflow explain WV-CRT-03 tells what a certificate must have")
	}
}

func expiry(seconds uint32, now time.Time) string {
	if seconds == 0 {
		return "without an end"
	}
	end := time.Unix(int64(seconds), 0).UTC()
	return fmt.Sprintf("ends %s, days left: %d", end.Format(time.DateOnly), int(end.Sub(now).Seconds()/secondsPerDay))
}

// post sends a key request, follows the redirects that the profile allows, and reads the answer.
func (w *walk) post(ctx context.Context, h *Hop, r *provider.Request, kind drm.Kind) (answer, provider.Reply, error) {
	for hops := 0; ; hops++ {
		a, err := w.send(ctx, r)
		if err != nil {
			return a, provider.Reply{}, err
		}
		w.clocks(h, a.header)
		reply := w.Profile.Read(kind, a.status, a.header, a.body)
		next, err := w.Profile.Redirected(r, a.status, a.header, hops)
		if err != nil {
			h.say(err.Error())
		}
		if next == nil {
			return a, reply, nil
		}
		h.say(fmt.Sprintf("HTTP %d leads to %s, which the profile lets follow", a.status, next.ShownURL()))
		r = next
	}
}

// startsLikeCertificate reports whether a body is a service certificate's answer in form 1 (sheet widevine.md §5.2).
func startsLikeCertificate(body []byte) bool { return bytes.HasPrefix(body, []byte{0x08, 0x05}) }
