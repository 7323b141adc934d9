package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"keyflow/drm"
	"keyflow/drm/provider"
	"keyflow/suites"
)

const reasonPreflight drm.Reason = "preflight-status"

// preflights asks for leave as a browser would, for every page that the profile or the user names.
func (w *walk) preflights(ctx context.Context) {
	origins := slices.Compact(slices.Sorted(slices.Values(slices.Concat(w.Profile.CORS.Origins, w.Origins))))
	why := ""
	switch c := w.Profile.CORS; {
	case c.Skip:
		why = "the profile says that no browser speaks to the service (cors.skip)"
	case w.Profile.Lacks(provider.CapabilityCORS):
		why = "the profile has capabilities." + provider.CapabilityCORS + ": false"
	case len(origins) > 0:
	case c.Credentials || len(c.RequestHeaders) > 0 || len(c.ExposeHeaders) > 0:
		origins = []string{suites.DefaultOrigin}
	default:
		why = "the profile says nothing of browsers; --origin https://your.page asks as a browser there would"
	}
	if why != "" && (len(origins) == 0 || w.Profile.CORS.Skip) {
		w.hop(ctx, HopPreflight, "", func(_ context.Context, h *Hop) { h.end(NotNeeded, "", why, "") })
		return
	}
	for _, origin := range origins {
		w.hop(ctx, HopPreflight, origin, func(ctx context.Context, h *Hop) { w.preflight(ctx, h, origin) })
	}
}

func (w *walk) preflight(ctx context.Context, h *Hop, origin string) {
	r, names, err := w.unsent(h)
	switch {
	case err != nil:
		h.failSend(err)
		return
	case r == nil:
		return
	case len(names) == 0:
		h.end(NotNeeded, "", "a browser sends these requests without one: all their headers are safelisted", "")
		return
	}
	step := "send a preflight from " + origin
	a, err := w.send(ctx, suites.Preflight(r, origin, names))
	if err != nil {
		h.failSend(err)
		return
	}
	w.clocks(h, a.header)
	h.say(fmt.Sprintf("HTTP %d, asked leave for %s", a.status, strings.Join(names, ", ")))
	const hint = "does the gateway route OPTIONS to the service, or answer 404, 405 or 401 on its own? A preflight never carries a token (TR-01)"
	if a.status < 200 || a.status > 299 { // a browser follows no redirect of a preflight
		h.fail(reasonPreflight, "HTTP 2xx", "", hint)
		return
	}
	if f := suites.Shared(w.Profile.CORS, a.header, origin, step); f != nil {
		h.fail(f.Reason, f.Expected, f.Seen, "have the service allow the player's page; an origin has scheme and host, and no slash at its end")
		return
	}
	if f := suites.Refused(w.Profile.CORS, a.header, names, step); f != nil {
		h.fail(f.Reason, f.Expected, f.Seen, "add the headers to Access-Control-Allow-Headers; * does not stand for Authorization, nor for anything where credentials are sent (TR-02)")
	}
}

// unsent returns the license request that a preflight asks leave for, and the headers that need it. Before there is a token it is the
// request without one. It returns no request where the hop is skipped.
func (w *walk) unsent(h *Hop) (*provider.Request, []string, error) {
	m := drm.Message{Kind: drm.KindLicense, Body: shortest}
	if w.lease != nil {
		r := w.build(w.lease, m)
		return r, w.Profile.CORSHeaders(r), nil
	}
	if w.skipped != "" {
		h.end(Skipped, "", "needs the token, which names the license URL: "+w.skipped, "")
		return nil, nil, nil
	}
	lease, _, err := w.Profile.Rehearse(w.Ask.Need)
	if err != nil {
		return nil, nil, err
	}
	names := w.Profile.CORSHeaders(w.build(lease, m))
	if places := w.Profile.TokenPlaces(); len(places.Query) > 0 {
		h.say("asked without the token in the query")
	}
	return w.build(lease.WithoutToken(), m), names, nil
}
