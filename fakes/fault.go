package fakes

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"keyflow/drm"
	"keyflow/drm/nearest"
)

// Layer is where in an exchange a fault acts.
type Layer string

// The layers, in the order in which faults act.
const (
	Transport Layer = "transport" // the connection
	HTTP      Layer = "http"      // status, headers, body
	Protocol  Layer = "protocol"  // what the DRM system's own messages say
)

// Fault is one way in which a fake can be wrong. [Catalogue] lists them.
type Fault struct {
	Name        string     `json:"name"` // letters a-z, digits and hyphens
	Description string     `json:"description"`
	System      drm.System `json:"system,omitempty"` // "" for every system
	Layer       Layer      `json:"layer"`
	Operation   drm.Kind   `json:"operation,omitempty"` // the only one it acts on; "" for every request
}

// Setting turns a fault on. The zero scope is every request that the fault can act on; a request must be in all parts of
// the scope.
type Setting struct {
	Name string `json:"name"`
	// Nth is the one request that the fault acts on, counted from 1 and from the moment the fault was set, among the
	// requests of the fault's system that are in the rest of the scope. 0 is every request.
	Nth int `json:"nth,omitempty"`
	// Every is the distance of the requests that the fault acts on: 100 is every hundredth, counted as for Nth. 0 is
	// every request. It excludes Nth.
	Every int `json:"every,omitempty"`
	// KID restricts the fault to requests that ask for this key; a fault that spoils single keys spoils this one only.
	KID *drm.KID `json:"kid,omitempty"`
	// Operation restricts the fault to one kind of message. A request that says none, because it can't be read, is
	// in no operation.
	Operation drm.Kind `json:"operation,omitempty"`
}

// String returns the setting as [ParseSetting] reads it.
func (s Setting) String() string {
	var scope []string
	if s.Nth != 0 {
		scope = append(scope, "nth="+strconv.Itoa(s.Nth))
	}
	if s.Every != 0 {
		scope = append(scope, "every="+strconv.Itoa(s.Every))
	}
	if s.KID != nil {
		scope = append(scope, "kid="+s.KID.String())
	}
	if s.Operation != "" {
		scope = append(scope, "operation="+string(s.Operation))
	}
	if len(scope) == 0 {
		return s.Name
	}
	return s.Name + "@" + strings.Join(scope, ",")
}

// ParseSetting reads a setting from its text, a fault's name and optionally its scope:
//
//	wv-keys-swapped
//	html-200@nth=3
//	connection-reset@every=100
//	wv-iv-constant@kid=00010203-0405-0607-0809-0a0b0c0d0e0f,operation=license
//
// An unknown name is an [*UnknownFaultError].
func ParseSetting(text string) (Setting, error) {
	name, scope, scoped := strings.Cut(text, "@")
	s := Setting{Name: name}
	if scoped {
		for part := range strings.SplitSeq(scope, ",") {
			if err := s.setScope(part); err != nil {
				return Setting{}, fmt.Errorf("fault %q: %w", text, err)
			}
		}
	}
	return s, s.Validate()
}

func (s *Setting) setScope(part string) error {
	key, value, _ := strings.Cut(part, "=")
	switch key {
	case "nth", "every":
		n, err := strconv.Atoi(value)
		if err != nil || n < 1 {
			return fmt.Errorf("%s %q: want a number from 1", key, value)
		}
		if key == "nth" {
			s.Nth = n
		} else {
			s.Every = n
		}
	case "kid":
		kid, err := drm.ParseKID(value)
		if err != nil {
			return err
		}
		s.KID = &kid
	case "operation":
		s.Operation = drm.Kind(value)
	default:
		return fmt.Errorf("scope %q: %s", part, nearest.Hint(key, []string{"nth", "every", "kid", "operation"}))
	}
	return nil
}

// UnknownFaultError says that no fault has the name.
type UnknownFaultError struct {
	Name    string
	Nearest string // the fault that was probably meant, "" if none is near
}

// Error names the nearest fault, or all of them.
func (e *UnknownFaultError) Error() string {
	return fmt.Sprintf("unknown fault %q: %s", e.Name, nearest.Hint(e.Name, names()))
}

// Validate reports a setting that names no fault ([*UnknownFaultError]) or could never act.
func (s Setting) Validate() error {
	i := slices.IndexFunc(definitions(), func(d definition) bool { return d.Name == s.Name })
	if i < 0 {
		return &UnknownFaultError{Name: s.Name, Nearest: nearest.Name(s.Name, names())}
	}
	kinds := []drm.Kind{"", drm.KindLicense, drm.KindCertificate, drm.KindRenewal, drm.KindRelease, drm.KindAcknowledgement, OperationToken, OperationPreflight}
	only := definitions()[i].Operation
	switch {
	case !slices.Contains(kinds, s.Operation):
		return fmt.Errorf("fault %s: operation %q: %s", s.Name, s.Operation, nearest.Hint(string(s.Operation), texts(kinds[1:])))
	case only != "" && s.Operation != "" && s.Operation != only:
		return fmt.Errorf("fault %s acts on operation %s, never on %s", s.Name, only, s.Operation)
	case s.Nth < 0:
		return fmt.Errorf("fault %s: nth %d: want a number from 1, or none", s.Name, s.Nth)
	case s.Every < 0:
		return fmt.Errorf("fault %s: every %d: want a number from 1, or none", s.Name, s.Every)
	case s.Nth > 0 && s.Every > 0:
		return fmt.Errorf("fault %s: nth %d and every %d: one of them", s.Name, s.Nth, s.Every)
	}
	return nil
}

func texts(kinds []drm.Kind) []string {
	out := make([]string, len(kinds))
	for i, k := range kinds {
		out[i] = string(k)
	}
	return out
}

// Named returns settings that turn the named faults on for every request. Names are not checked until they are set.
func Named(names ...string) []Setting {
	settings := make([]Setting, len(names))
	for i, n := range names {
		settings[i] = Setting{Name: n}
	}
	return settings
}

// Catalogue returns every fault, in the order in which they act.
func Catalogue() []Fault {
	defs := definitions()
	faults := make([]Fault, len(defs))
	for i, d := range defs {
		faults[i] = d.Fault
	}
	return faults
}

func names() []string {
	defs := definitions()
	out := make([]string, len(defs))
	for i, d := range defs {
		out[i] = d.Name
	}
	return out
}

func validateAll(settings []Setting) error {
	errs := make([]error, len(settings))
	for i, s := range settings {
		errs[i] = s.Validate()
	}
	return errors.Join(errs...)
}
