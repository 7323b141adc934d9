package main

import (
	"fmt"
	"strings"

	"keyflow/drm"
)

// summary tells a message in a line.
func (v *inspectedMessage) summary() string {
	text := v.Kind
	var about []string
	switch {
	case v.Widevine != nil:
		about = v.Widevine.summary()
	case v.Request != nil && v.Request.Header != nil:
		var kids []drm.KID
		for _, k := range v.Request.Header.KIDs {
			kids = append(kids, k.KID)
		}
		about = []string{kidsText(kids)}
	case v.Response != nil:
		about = []string{plural(len(v.Response.Licenses), "license")}
		for _, l := range v.Response.Licenses[:min(len(v.Response.Licenses), 4)] {
			if l.KID != nil {
				about = append(about, "KID "+l.KID.String())
			}
		}
	case v.Fault != nil:
		about = []string{strings.TrimSpace(orElse(v.Fault.Code, "no code") + " " + v.Fault.Name), v.Fault.Meaning}
	}
	if v.Wrapped != "" {
		text += " in " + ascii(v.Wrapped)
	}
	for _, a := range about {
		if a != "" {
			text += ", " + a
		}
	}
	if len(v.Problems) > 0 {
		text += ", " + plural(len(v.Problems), "problem")
	}
	return text
}

func kidsText(kids []drm.KID) string {
	const most = 3
	switch n := len(kids); {
	case n == 0:
		return "no KID"
	case n == 1:
		return "KID " + kids[0].String()
	case n > most:
		return fmt.Sprintf("%d KIDs, the first %s", n, kids[0])
	}
	return "KIDs " + drm.JoinKIDs(kids)
}

func (v *inspectedWV) summary() []string {
	switch {
	case v.Request != nil:
		return v.Request.summary()
	case v.License != nil:
		return v.License.summary()
	case v.Error != nil:
		return []string{orElse(v.Error.Code, "no code"), v.Error.Meaning}
	case v.Certificate != nil && len(v.Certificate.Chain) > 0:
		return v.Certificate.Chain[0].summary()
	}
	return nil
}

func (r *inspectedWVRequest) summary() []string {
	var about []string
	switch {
	case r.Encrypted != nil:
		about = append(about, "client encrypted for "+told(orElse(r.Encrypted.Provider, "nobody")))
	case r.Client != nil:
		about = append(about, "client in the clear")
	}
	c := r.Content
	switch {
	case c == nil:
	case c.License != nil:
		about = append(about, "session "+told(c.License.SessionID))
		if c.License.Version != nil {
			about = append(about, fmt.Sprintf("version %d", *c.License.Version))
		}
	case c.Form == contentPSSH:
		var kids []drm.KID
		for _, d := range c.Widevine {
			if d.Data != nil {
				kids = append(kids, d.Data.KeyIDs...)
			}
		}
		about = append(about, kidsText(kids))
	default:
		about = append(about, c.Form)
	}
	return about
}

func (l *inspectedWVLicense) summary() []string {
	var kids []drm.KID
	for _, k := range l.Keys {
		if k.KID != nil {
			kids = append(kids, *k.KID)
		}
	}
	about := []string{plural(l.KeyContainers, "key"), kidsText(kids)}
	switch {
	case l.Partly:
		return about
	case l.KeyContainers == 0:
		about = []string{"no keys"}
	}
	if p := l.Policy; p == nil || p.CanPlay == nil || !*p.CanPlay {
		about = append(about, "does not allow to play")
	} else if p.License != nil && *p.License > 0 {
		about = append(about, "allows to play for "+words(*p.License))
	}
	if l.ID != nil && l.ID.Version != nil && *l.ID.Version != 0 {
		about = append(about, fmt.Sprintf("version %d", *l.ID.Version))
	}
	return about
}

func (c inspectedCert) summary() []string {
	var about []string
	if c.Provider != "" {
		about = append(about, "of "+told(c.Provider))
	}
	if c.SignatureVerifies != nil {
		verifies := "does not verify under "
		if *c.SignatureVerifies {
			verifies = "verifies under "
		}
		about = append(about, verifies+c.Under)
	}
	return about
}
