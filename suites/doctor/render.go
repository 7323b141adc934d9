package doctor

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"keyflow/drm"
	"keyflow/drm/provider"
	"keyflow/drm/secret"
)

// Value is a name and what belongs to it.
type Value struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Rendering is a request as the profile makes it for the canned key request. What is secret is a placeholder, or the template that
// it is made by.
type Rendering struct {
	Variant    string              `json:"variant,omitempty"`
	Kind       drm.Kind            `json:"kind"`
	Method     string              `json:"method"`
	URL        string              `json:"url"`
	Query      []Value             `json:"query"`
	Header     []Value             `json:"header"`
	Body       Body                `json:"body"`
	CustomData string              `json:"custom_data,omitempty"` // of a PlayReady client: its length
	Invented   []provider.Invented `json:"invented,omitempty"`    // tokens that stand in for those of a service
	Problem    string              `json:"problem,omitempty"`     // why it cannot be rendered
}

// Render makes the requests of a profile, bound to its environment, for a license and, if it has one, a service certificate. It
// sends nothing: tokens of services and programs are invented.
func (c *Case) Render(ctx context.Context) []Rendering {
	kinds := []drm.Kind{drm.KindLicense}
	if mode := c.Profile.Certificate.Mode; c.Profile.DRM == drm.Widevine && (mode == "same_url" || mode == provider.CertificateURL) {
		kinds = append(kinds, drm.KindCertificate)
	}
	lease, invented, err := c.Profile.Rehearse(c.Ask.Need)
	var all []Rendering
	for _, kind := range kinds {
		one := Rendering{Variant: c.Profile.Variant, Kind: kind, Query: []Value{}, Header: []Value{}, Invented: invented}
		rendered := err
		if rendered == nil {
			rendered = c.render(ctx, &one, lease, kind)
		}
		if rendered != nil {
			one.Problem = rendered.Error()
		}
		all = append(all, one)
	}
	return all
}

func (c *Case) render(ctx context.Context, out *Rendering, lease *provider.Lease, kind drm.Kind) error {
	session, err := c.Platform.Open(ctx, c.Ask.Box, drm.Options{CustomData: lease.CustomData})
	if err != nil {
		return err
	}
	defer func() { _ = session.Close() }() // nothing of it is kept
	m, err := session.Request(ctx, kind)
	if err != nil {
		return err
	}
	r := c.Profile.Build(lease, m, provider.At{Now: c.clock().Now()})
	if _, err := r.HTTP(ctx); err != nil {
		return err
	}
	if !lease.CustomData.IsZero() {
		out.CustomData = fmt.Sprintf("%s, %d bytes, signed with the challenge", secret.Placeholder, lease.CustomData.Len())
	}
	address, query, _ := strings.Cut(r.ShownURL(), "?")
	out.Method, out.URL = r.Method, address
	for pair := range strings.SplitSeq(query, "&") {
		if name, value, _ := strings.Cut(pair, "="); pair != "" {
			out.Query = append(out.Query, Value{name, value})
		}
	}
	out.Header = shownHeader(r)
	wrap := c.Profile.Request.Body.Wrap
	if kind == drm.KindCertificate && c.Profile.Certificate.Wrap == "raw" {
		wrap = "raw"
	}
	out.Body = shapeOf(r.Body, wrap, r.Header.Get("Content-Encoding") == "gzip")
	return nil
}

func shownHeader(r *provider.Request) []Value {
	values := []Value{}
	shown := r.ShownHeader()
	for _, name := range slices.Sorted(maps.Keys(shown)) {
		for i, value := range shown[name] {
			if value == secret.Placeholder {
				value = fmt.Sprintf("%s, %d characters", value, len(r.Header[name][i]))
			}
			values = append(values, Value{name, value})
		}
	}
	return values
}

// Body tells a body's form and size, and of its parts names, kinds and sizes: never a value.
type Body struct {
	Bytes int     `json:"bytes"` // as they are sent
	Form  string  `json:"form"`
	Parts []Value `json:"parts"`
}

// maxParts bounds how many parts of a body are told.
const maxParts = 60

func shapeOf(body []byte, wrap string, zipped bool) Body {
	b := Body{Bytes: len(body), Form: "the key request as it is", Parts: []Value{}}
	if zipped {
		plain, err := unzipped(body)
		if err != nil {
			b.Form = "gzip"
			return b
		}
		body = plain
	}
	switch {
	case len(body) == 0:
		b.Form = "empty"
	case wrap == "json", wrap == "token" && bytes.HasPrefix(body, []byte("{")):
		b.Form, b.Parts = "JSON", jsonParts(body)
	case wrap == "form":
		b.Form, b.Parts = "form", formParts(body)
	case wrap == "envelope":
		b.Form, b.Parts = "envelope", xmlParts(body)
	case wrap == "token":
		b.Form = "a token"
	case bytes.HasPrefix(bytes.TrimSpace(body), []byte("<")):
		b.Form, b.Parts = "the key request as it is, XML", xmlParts(body)
	}
	if zipped {
		b.Form += ", compressed with gzip"
	}
	if len(b.Parts) > maxParts {
		b.Parts = append(b.Parts[:maxParts:maxParts], Value{"…", fmt.Sprintf("%d more", len(b.Parts)-maxParts)})
	}
	return b
}

// maxUnzipped bounds a body that keyflow has compressed itself.
const maxUnzipped = 1 << 20

func unzipped(body []byte) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(z, maxUnzipped))
}
