package suites

import (
	"bytes"
	"cmp"
	"net/http"
	"net/url"

	"google.golang.org/protobuf/proto"

	"keyflow/drm"
	"keyflow/drm/playready/soap"
	"keyflow/drm/provider"
	"keyflow/drm/widevine/wire"
)

// walk sends the exchange's message and has its answer processed. A refusal that the profile calls passing is asked again,
// as often as it says.
func (e *Env) walk(x *Exchange, c call) error {
	for attempt := 1; ; attempt++ {
		if err := e.post(x, c); err != nil {
			return err
		}
		pause, again := e.Profile.Retry.Pause(attempt, x.Reply.Error, x.Header)
		if !again {
			break
		}
		if err := drm.Sleep(e.Context, pause); err != nil {
			return provider.NewTransportError(err, false)
		}
	}
	var err error
	if x.Observation, err = x.Session.Process(e.Context, x.Message.ID, x.Reply.Body); err != nil {
		return &HarnessError{err}
	}
	return nil
}

// post sends the exchange's message once, and reads the answer. Redirects are followed as far as the profile allows.
func (e *Env) post(x *Exchange, c call) error {
	if x.Message.Kind == drm.KindCertificate && e.Profile.Certificate.Mode == provider.CertificateEmbedded {
		return e.embedded(x)
	}
	request := e.Profile.Build(x.Lease, x.Message, provider.At{Now: e.clock().Now()})
	if n := len(x.Redirects); n > 0 {
		request = request.At(x.Redirects[n-1])
	}
	x.url = request.URL
	if c.edit != nil {
		c.edit(request)
	}
	for hops := 0; ; hops++ {
		if err := e.send(cmp.Or(c.client, e.Client), x, request); err != nil {
			return err
		}
		x.Reply = e.Profile.Read(x.Message.Kind, x.Status, x.Header, x.Raw)
		e.log.read(x.Reply)
		if c.stay {
			return nil
		}
		next, err := e.Profile.Redirected(request, x.Status, x.Header, hops)
		if err != nil {
			x.Reply.Problems = append([]provider.Problem{{Reason: reasonRedirect, Expected: "an answer, or a redirect that may be followed", Seen: err.Error()}}, x.Reply.Problems...)
		}
		if next == nil {
			return nil
		}
		request = next
	}
}

// reasonRedirect is that of a redirect that cannot be followed.
const reasonRedirect drm.Reason = "redirect"

// embedded answers a certificate request with the file that the profile names.
func (e *Env) embedded(x *Exchange) error {
	file, err := EmbeddedCertificate(e.Profile)
	if err != nil {
		return &HarnessError{err}
	}
	x.Status, x.Header = http.StatusOK, http.Header{}
	x.Reply = provider.Reply{Class: provider.ClassOK, Status: x.Status, Body: file}
	return nil
}

// EmbeddedCertificate returns the file of certificate.mode embedded in the form that an answer has: providers hand it out
// without the envelope.
func EmbeddedCertificate(p *provider.Profile) ([]byte, error) {
	file, err := p.EmbeddedCertificate()
	if err != nil || bytes.HasPrefix(file, []byte{0x08, 0x05}) {
		return file, err
	}
	return proto.Marshal(&wire.SignedMessage{Type: wire.SignedMessage_SERVICE_CERTIFICATE.Enum(), Msg: file})
}

// maxRedirects bounds the application redirects that an exchange follows.
const maxRedirects = 3

// redirectTarget returns where a fault of PlayReady sends the client, nil for any other answer and where it names no absolute URL
// of the same origin: a secret never follows a redirect to another host.
func redirectTarget(x *Exchange) *url.URL {
	f := x.PlayReady().Fault
	if f == nil || f.Code != soap.CodeProtocolRedirect {
		return nil
	}
	to, err := url.Parse(f.RedirectURL)
	from, fromErr := url.Parse(x.url)
	if err != nil || fromErr != nil || to.Scheme != from.Scheme || to.Host != from.Host || to.Host == "" {
		return nil
	}
	return to
}
