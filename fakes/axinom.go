package fakes

import (
	"cmp"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"keyflow/drm"
	"keyflow/drm/playready/xmr"
)

// axinomRole is Axinom DRM (sheet providers.md §2.2): a host for each system, in production and test, with or without a tenant's
// label before it.
func axinomRole() role {
	r := role{
		StandInInfo: StandInInfo{Name: "axinom", Title: "Axinom DRM: license services", Systems: []drm.System{drm.Widevine, drm.PlayReady}},
		credentials: []credential{plainName("COM_KEY_ID"), base64Secret("COM_KEY")},
	}
	for _, domain := range []string{".axprod.net", ".axtest.net"} {
		for system, host := range map[drm.System]string{drm.Widevine: "drm-widevine-licensing", drm.PlayReady: "drm-playready-licensing"} {
			r.routes = append(r.routes, route{
				hosts: []string{host + domain, "*." + host + domain}, path: "/AcquireLicense", system: system, query: []string{"AxDrmMessage"},
				open: func() provider { return &axinom{} },
			})
		}
	}
	return r
}

// axinom is Axinom's license service in one conversation: requests and answers are raw, and a signed License Service Message
// stands beside the request, in exactly one of three places.
type axinom struct {
	bare
	header, query []string // as sent
}

func (a *axinom) unwrap(_ *exchange, r *http.Request, body []byte) []byte {
	a.header, a.query = r.Header.Values("X-AxDRM-Message"), r.URL.Query()["AxDrmMessage"]
	return body
}

// messages returns what there is in all places.
func (a *axinom) messages(x *exchange) []string {
	var all []string
	for _, h := range a.header {
		if h != "" {
			all = append(all, h)
		}
	}
	for _, q := range a.query {
		if q != "" {
			all = append(all, x.tokenInQuery(q))
		}
	}
	if custom := x.customToken(); custom != "" {
		all = append(all, custom)
	}
	return all
}

// authorize verifies the message. That a certificate request needs none is the stand-in's choice.
func (a *axinom) authorize(x *exchange) *refusal {
	if x.request.operation == drm.KindCertificate {
		x.spendOnCertificate(strings.Join(append(a.header, a.query...), ""))
		return nil
	}
	all := a.messages(x)
	switch {
	case len(all) == 0 && x.acts(faultNotEnforced):
		return nil
	case len(all) == 0:
		return a.deny(x, flawMissing)
	case len(all) > 1:
		return a.deny(x, flawPlaces)
	}
	m, f := readServiceMessage(x, all[0])
	if f != nil {
		return a.deny(x, f)
	}
	x.entitlement = m.entitlement(x)
	x.entitlement.foreign = func() *refusal { return a.deny(x, flawForeign) }
	return nil
}

// deny refuses with 403, or 400 for what can't be understood; PlayReady has a SOAP fault for both. The document has no list of
// texts: these are the stand-in's.
func (a *axinom) deny(x *exchange, f *flaw) *refusal {
	text := "License Service Message: " + f.text
	if x.record.System == drm.PlayReady {
		return x.tokenFault(f, text)
	}
	status := http.StatusForbidden
	if f.reason == reasonTokenClaims || f.reason == reasonTokenPlaces || f == flawMalformed {
		status = http.StatusBadRequest
	}
	return refuse(status, f.reason, text)
}

// refuse tells the text in a header too. Statuses that the document doesn't have become 400, or 403 for a key that is not known;
// all of PlayReady are 500, but for what is no SOAP and does not reach the service.
func (a *axinom) refuse(x *exchange, why *refusal, as answer) answer {
	switch {
	case as.status == http.StatusOK: // by a fault
	case x.record.System == drm.PlayReady && why.reason == reasonMediaType:
	case x.record.System == drm.PlayReady:
		as.status = http.StatusInternalServerError
	case as.status == http.StatusNotFound:
		as.status = http.StatusForbidden
	case as.status != http.StatusForbidden && as.status != http.StatusInternalServerError:
		as.status = http.StatusBadRequest
	}
	return as.withHeader("X-AxDRM-ErrorMessage", why.text)
}

// serviceMessage is what the entitlement in a License Service Message says.
type serviceMessage struct {
	kids     []drm.KID
	duration time.Duration // 0: not said
	persists bool
}

// guidForm is how the document writes GUIDs.
var guidForm = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)

// readServiceMessage verifies a message and reads it. Of what the document has besides, names are known and values change nothing;
// that other names are refused shows a client that one of its names is wrong.
func readServiceMessage(x *exchange, text string) (serviceMessage, *flaw) {
	t, f := x.openJWT(text, x.server.account.bytes("COM_KEY"), "HS256")
	if f != nil {
		return serviceMessage{}, f
	}
	c := t.claims
	var version int
	switch {
	case !c.only("version", "id", "com_key_id", "begin_date", "expiration_date", "message"):
		return serviceMessage{}, claimFlaw("a member is not known")
	case !c.read("version", &version) || version != 1:
		return serviceMessage{}, claimFlaw("version is not 1")
	case c.text("com_key_id") == "":
		return serviceMessage{}, claimFlaw("com_key_id is missing")
	}
	if f := x.addressed(strings.ToLower(c.text("com_key_id")), strings.ToLower(x.server.account.text("COM_KEY_ID")), "com_key_id"); f != nil {
		return serviceMessage{}, f
	}
	var v validity
	if !readDate(c, "begin_date", &v.begins) || !readDate(c, "expiration_date", &v.ends) {
		return serviceMessage{}, claimFlaw("a date is not as 2030-01-02T03:04:05Z")
	}
	m, f := readEntitlementMessage(c.object("message"))
	if f == nil {
		f = v.judge(x)
	}
	if f == nil && x.server.spent.has(text) {
		f = flawReused
	}
	return m, f
}

// readDate reads an optional date of ISO 8601 in the form that the document has.
func readDate(c members, name string, into *time.Time) bool {
	if !c.has(name) {
		return true
	}
	var err error
	*into, err = time.Parse(time.RFC3339, c.text(name))
	return err == nil
}

// readEntitlementMessage reads version 2 of an entitlement message.
func readEntitlementMessage(e members) (m serviceMessage, f *flaw) {
	var version int
	switch {
	case e == nil:
		return m, claimFlaw("message is missing, or no object")
	case !e.only("type", "version", "license", "content_keys_source", "content_key_usage_policies", "license_server", "session"):
		return m, claimFlaw("a member of message is not known")
	case e.text("type") != "entitlement_message":
		return m, claimFlaw("message.type is not entitlement_message")
	case !e.read("version", &version) || version != 2:
		return m, claimFlaw("message.version is not 2")
	}
	if e.has("license") {
		if f = m.readLicense(e.object("license")); f != nil {
			return m, f
		}
	}
	return m, m.readKeys(e)
}

func (m *serviceMessage) readLicense(l members) *flaw {
	seconds := 1
	switch {
	case l == nil || !l.only("start_datetime", "expiration_datetime", "duration", "allow_persistence", "concurrency_interval",
		"concurrency_grace_period", "fairplay", "playready", "widevine"):
		return claimFlaw("license is no object, or a member of it is not known")
	case !l.readOptional("duration", &seconds) || seconds < 1 || seconds > 1<<31-1:
		return claimFlaw("license.duration is not a number of seconds")
	case !l.readOptional("allow_persistence", &m.persists):
		return claimFlaw("license.allow_persistence is neither true nor false")
	case l.has("duration"):
		m.duration = time.Duration(seconds) * time.Second
	}
	return nil
}

// readKeys reads the KIDs that are entitled to. Keys that come along encrypted, and the other sources, are not served here: how
// the former are encrypted was not to be read up.
func (m *serviceMessage) readKeys(e members) *flaw {
	source := e.object("content_keys_source")
	if source == nil || !source.only("inline") {
		return claimFlaw("content_keys_source is missing, or not inline, which alone is served here")
	}
	inline, ok := source.objects("inline")
	if !ok {
		return claimFlaw("content_keys_source.inline is no list of objects")
	}
	policies, ok := e.objects("content_key_usage_policies")
	if e.has("content_key_usage_policies") && !ok {
		return claimFlaw("content_key_usage_policies is no list of objects")
	}
	known := map[string]bool{}
	for _, p := range policies {
		known[p.text("name")] = true
	}
	for _, k := range inline {
		kid, err := drm.ParseKID(k.text("id"))
		switch {
		case !k.only("id", "iv", "seed_id", "usage_policy"):
			return claimFlaw("a member of content_keys_source.inline is not known, or not served here")
		case err != nil || !guidForm.MatchString(k.text("id")):
			return claimFlaw("content_keys_source.inline has an id that is no GUID")
		case k.has("usage_policy") && (k.text("usage_policy") == "" || !known[k.text("usage_policy")]):
			return claimFlaw("a usage_policy is not among content_key_usage_policies")
		}
		if !slices.Contains(m.kids, kid) {
			m.kids = append(m.kids, kid)
		}
	}
	return nil
}

// entitlement is for the KIDs of the message. A request that has any other is refused as a whole.
func (m serviceMessage) entitlement(x *exchange) *entitlement {
	grant := func(g *xmr.Grant) {
		g.CannotPersist = !m.persists
		if m.duration > 0 {
			g.Begin, g.End = x.begin(), x.now.Add(m.duration)
		}
		g.RealTimeExpiration = g.CannotPersist && (!g.End.IsZero() || g.FirstPlay > 0)
	}
	e := &entitlement{strict: true, rest: terms{grant: grant}, policy: func(p *drm.Policy) {
		p.CanPersist, p.License = m.persists, cmp.Or(m.duration, p.License)
	}}
	for _, kid := range m.kids {
		e.terms = append(e.terms, terms{kid: kid, grant: grant})
	}
	return e
}
