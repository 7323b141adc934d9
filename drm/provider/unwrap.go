package provider

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"keyflow/drm"
	"keyflow/drm/playready/soap"
)

// unwrapRule is an [Unwrap] with its expressions compiled.
type unwrapRule struct {
	Unwrap
	contentType *regexp.Regexp
	start       []byte
	steps       []any
	okSteps     []any
}

func (u *unwrapRule) matches(kind drm.Kind, in *place) bool {
	w := u.When
	return (w.Kind == "" || w.Kind == kind) && bytes.HasPrefix(in.body, u.start) &&
		(len(w.Status) == 0 || w.Status.Has(in.status)) &&
		(u.contentType == nil || u.contentType.MatchString(in.header.Get("Content-Type")))
}

// unwrap takes a license, or a service certificate, out of the body of a good answer. Without rules the body is the license.
// The problem says that the answer has none of the forms that the profile names, or is no license although its status is good.
func (p *Profile) unwrap(kind drm.Kind, in *place) ([]byte, *Problem) {
	if p.plan == nil || len(p.plan.unwrap) == 0 {
		return in.body, nil
	}
	for i := range p.plan.unwrap {
		if u := &p.plan.unwrap[i]; u.matches(kind, in) {
			return u.take(in)
		}
	}
	return in.body, formProblem("a body of a form that the profile names", "a body that starts "+hex.EncodeToString(in.body[:min(len(in.body), 2)]))
}

func formProblem(expected, seen string) *Problem { return &Problem{ReasonForm, expected, seen} }

func (u *unwrapRule) take(in *place) ([]byte, *Problem) {
	if u.OKIf != nil {
		text, found := in.value(u.okSteps)
		if want := fmt.Sprint(u.OKIf.Equals); !found || text != want {
			seen := "none"
			if found {
				seen = fmt.Sprintf("%q", clip(text))
			}
			return in.body, &Problem{ReasonStatusInside, fmt.Sprintf("%s %q in the JSON", u.OKIf.Path, want), seen}
		}
	}
	switch u.As {
	case "json":
		text, found := in.value(u.steps)
		if !found {
			return in.body, formProblem("JSON with "+u.Path, "none there")
		}
		body, err := decodeLicense(u.Decode, text)
		if err != nil {
			return in.body, formProblem(fmt.Sprintf("%s in %s", u.Decode, u.Path), err.Error())
		}
		return body, nil
	case "soap":
		if _, err := soap.ParseAnswer(in.body); err != nil {
			return in.body, formProblem("a SOAP envelope", clip(err.Error()))
		}
		return in.body, nil
	}
	body, err := decodeLicense(u.Decode, string(in.body))
	if err != nil {
		return in.body, formProblem("a body in "+u.Decode, err.Error())
	}
	return body, nil
}

// decodeLicense undoes the encoding of a license. Its errors hold nothing of it.
func decodeLicense(decode, text string) ([]byte, error) {
	switch decode {
	case "b64":
		b, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return nil, errors.New("is not base64 with padding")
		}
		return b, nil
	case "b64url":
		b, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(text, "="))
		if err != nil {
			return nil, errors.New("is not base64 for URLs")
		}
		return b, nil
	case "b64_lenient":
		return lenientBase64(strings.Join(strings.Fields(text), ""))
	case "b64+urlquery":
		plain, err := url.QueryUnescape(text)
		if err != nil {
			return nil, errors.New("is not percent-encoded as it should be")
		}
		return lenientBase64(plain)
	case "hex":
		b, err := hex.DecodeString(text)
		if err != nil {
			return nil, errors.New("is not hexadecimal")
		}
		return b, nil
	}
	return []byte(text), nil
}

// unwraps checks response.unwrap and compiles it.
func (v *validator) unwraps() {
	kinds := []drm.Kind{drm.KindLicense, drm.KindCertificate, drm.KindRenewal, drm.KindRelease}
	for i, u := range v.p.Response.Unwrap {
		path := fmt.Sprintf("response.unwrap[%d]", i)
		rule := unwrapRule{Unwrap: u, contentType: v.regex(path+".when.content_type", u.When.ContentType), start: v.start(path, u.When.FirstBytes)}
		oneOf(v, path+".as", u.As, "raw", "json", "soap")
		oneOf(v, path+".decode", u.Decode, "none", "b64", "b64url", "b64_lenient", "b64+urlquery", "hex")
		if u.When.Kind != "" {
			oneOf(v, path+".when.kind", u.When.Kind, kinds...)
		}
		if u.As == "soap" && v.p.DRM != drm.PlayReady {
			v.bad(path+".as", "soap is for profiles with drm: playready")
		}
		if u.As == "soap" && u.Decode != "none" {
			v.bad(path+".decode", "a SOAP envelope is not encoded")
		}
		switch {
		case u.As == "json":
			rule.steps = v.jsonSteps(path+".path", u.Path)
		case u.Path != "":
			v.bad(path+".path", "belongs to as: json")
		}
		if u.OKIf != nil {
			rule.okSteps = v.jsonSteps(path+".ok_if.path", u.OKIf.Path)
			if u.OKIf.Equals == nil {
				v.bad(path+".ok_if.equals", "is missing")
			}
		}
		if i < len(v.p.Response.Unwrap)-1 && u.When.ContentType == "" && u.When.FirstBytes == "" && u.When.Kind == "" && len(u.When.Status) == 0 {
			v.bad(path, "matches every answer and hides what comes after it")
		}
		v.p.plan.unwrap = append(v.p.plan.unwrap, rule)
	}
}

func (v *validator) jsonSteps(path, text string) []any {
	steps, err := parseJSONPath(text)
	if err != nil {
		v.bad(path, "%s", err)
	}
	return steps
}

// start decodes the first bytes of a rule.
func (v *validator) start(path, text string) []byte {
	start, err := hex.DecodeString(text)
	if err != nil {
		v.bad(path+".when.first_bytes", "want pairs of hexadecimal digits, seen %q", text)
	}
	return start
}
