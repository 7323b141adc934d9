package provider

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"keyflow/drm"
	"keyflow/drm/nearest"
)

// maxProfile bounds a profile file, in bytes.
const maxProfile = 1 << 20

// Defaults of a profile.
const (
	DefaultMaxBytes    = 1 << 20                    // of an answer
	DefaultContentType = "application/octet-stream" // of a Widevine key request (sheet widevine.md §11)
)

// Load reads the profile in a file.
func Load(path string) (*Profile, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read profile: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxProfile+1))
	if err != nil {
		return nil, fmt.Errorf("read profile %s: %w", path, err)
	}
	if len(text) > maxProfile {
		return nil, fmt.Errorf("read profile %s: longer than %d bytes", path, maxProfile)
	}
	return Parse(path, text)
}

// Parse reads a profile. Every error names origin and line; unknown keys come with the nearest valid one. All errors that
// can be told apart are returned at once, joined.
func Parse(origin string, text []byte) (*Profile, error) {
	file, err := parser.ParseBytes(text, 0)
	if err != nil {
		return nil, fmt.Errorf("%s: %s", origin, oneLine(err))
	}
	if len(file.Docs) != 1 || file.Docs[0].Body == nil {
		return nil, fmt.Errorf("%s: want exactly one YAML document, seen %d", origin, len(file.Docs))
	}
	body := file.Docs[0].Body
	w := &walker{origin: origin, lines: map[string]int{}}
	w.walk(body, reflect.TypeFor[Profile](), "")
	if len(w.errs) > 0 {
		return nil, errors.Join(w.errs...)
	}
	p := &Profile{Origin: origin}
	if err := yaml.NodeToValue(body, p, yaml.Strict()); err != nil {
		return nil, fmt.Errorf("%s: %s", origin, oneLine(err))
	}
	p.setDefaults()
	if errs := p.validate(w); len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return p, nil
}

// oneLine returns a YAML error's message without the library's picture of the source.
func oneLine(err error) string {
	var yerr yaml.Error
	if !errors.As(err, &yerr) {
		return strings.SplitN(err.Error(), "\n", 2)[0]
	}
	if t := yerr.GetToken(); t != nil {
		return fmt.Sprintf("line %d: %s", t.Position.Line, yerr.GetMessage())
	}
	return yerr.GetMessage()
}

// walker compares the keys of a document with those of the types that it is read into.
type walker struct {
	origin string
	lines  map[string]int // of each key path
	errs   []error
}

func (w *walker) errorf(line int, format string, args ...any) error {
	return fmt.Errorf("%s:%d: %s", w.origin, line, fmt.Sprintf(format, args...))
}

func (w *walker) walk(n ast.Node, t reflect.Type, path string) {
	if t.Kind() != reflect.Struct {
		return
	}
	m, ok := n.(*ast.MappingNode)
	if !ok {
		w.errs = append(w.errs, w.errorf(n.GetToken().Position.Line, "%s: want keys and values, seen %s", orRoot(path), n.Type()))
		return
	}
	fields := keysOf(t)
	for _, v := range m.Values {
		key := v.Key.GetToken().Value
		line := v.Key.GetToken().Position.Line
		field, known := fields[key]
		if !known {
			valid := make([]string, 0, len(fields))
			for name := range fields {
				valid = append(valid, name)
			}
			w.errs = append(w.errs, w.errorf(line, "unknown key %q: %s", join(path, key), nearest.Hint(key, valid)))
			continue
		}
		w.lines[join(path, key)] = line
		w.walk(v.Value, field, join(path, key))
	}
}

func keysOf(t reflect.Type) map[string]reflect.Type {
	keys := map[string]reflect.Type{}
	for i := range t.NumField() {
		if name := t.Field(i).Tag.Get("yaml"); name != "-" {
			keys[name] = t.Field(i).Type
		}
	}
	return keys
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func orRoot(path string) string {
	if path == "" {
		return "the profile"
	}
	return path
}

func (p *Profile) setDefaults() {
	if p.Request.ContentType == "" {
		p.Request.ContentType = DefaultContentType
	}
	if len(p.Response.OKStatus) == 0 {
		p.Response.OKStatus = []int{200}
	}
	if p.Response.MaxBytes == 0 {
		p.Response.MaxBytes = DefaultMaxBytes
	}
}

var kebab = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)

func (p *Profile) validate(w *walker) []error {
	var errs []error
	bad := func(path, format string, args ...any) {
		line := w.lines[path]
		errs = append(errs, w.errorf(max(line, 1), "%s: %s", path, fmt.Sprintf(format, args...)))
	}
	if p.Version != Version {
		bad("profile", "want %d, the version of the profile schema, seen %d", Version, p.Version)
	}
	if !kebab.MatchString(p.ID) {
		bad("id", "want lower-case words joined by hyphens, e.g. plain-widevine, seen %q", p.ID)
	}
	if systems := []drm.System{drm.Widevine, drm.PlayReady}; !slices.Contains(systems, p.DRM) {
		bad("drm", "want widevine or playready, seen %q", p.DRM)
	}
	if _, err := p.Endpoint(); err != nil {
		bad("request.url", "%s", err)
	}
	if strings.ContainsAny(p.Request.ContentType, "\r\n") {
		bad("request.content_type", "must not hold line breaks")
	}
	for _, status := range p.Response.OKStatus {
		if status < 100 || status > 599 {
			bad("response.ok_status", "want HTTP status codes, seen %d", status)
		}
	}
	if p.Response.MaxBytes < 1 || p.Response.MaxBytes > 1<<30 {
		bad("response.max_bytes", "want 1 to %d bytes, seen %d", 1<<30, p.Response.MaxBytes)
	}
	return errs
}

// Endpoint returns the license URL, parsed: absolute, http or https, without user information.
func (p *Profile) Endpoint() (*url.URL, error) {
	u, err := url.Parse(p.Request.URL)
	switch {
	case p.Request.URL == "":
		return nil, errors.New("is missing: the license URL, e.g. https://license.example/widevine")
	case err != nil:
		return nil, errors.New("is not a URL")
	case u.Scheme != "https" && u.Scheme != "http" || u.Host == "":
		return nil, errors.New("want an absolute http or https URL")
	case u.User != nil:
		return nil, errors.New("must not hold a user name or password")
	}
	return u, nil
}

// Loopback reports whether the license URL's host is this machine's loopback interface.
func (p *Profile) Loopback() bool {
	u, err := p.Endpoint()
	if err != nil {
		return false
	}
	if u.Hostname() == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(u.Hostname())
	return err == nil && addr.IsLoopback()
}

// Secure reports whether requests are encrypted on their way, or stay on this machine.
func (p *Profile) Secure() bool {
	u, err := p.Endpoint()
	return err == nil && u.Scheme == "https" || p.Loopback()
}

// Address returns host:port of the license URL, with the scheme's default port.
func (p *Profile) Address() string {
	u, err := p.Endpoint()
	if err != nil {
		return ""
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port)
}
