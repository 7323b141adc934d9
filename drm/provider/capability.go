package provider

import (
	"slices"

	"keyflow/drm"
	"keyflow/drm/nearest"
)

// The capabilities that a profile may say a service does not have. What a profile does not name, the service may have.
const (
	CapabilityCertificate = "service_certificate" // of Widevine
	CapabilityPrivacy     = "privacy_mode"        // of Widevine: encrypted client ids
	CapabilityMultiKey    = "multi_key"           // several KIDs in one key request
	CapabilityPersistent  = "persistent"          // licenses that may be stored
	CapabilityCORS        = "cors"                // browsers on other origins
)

// Capabilities returns the names of all capabilities.
func Capabilities() []string {
	return []string{CapabilityCertificate, CapabilityPrivacy, CapabilityMultiKey, CapabilityPersistent, CapabilityCORS}
}

// Lacks reports whether the profile says that the service does not have a capability.
func (p *Profile) Lacks(capability string) bool {
	has, said := p.Capabilities[capability]
	return said && !has
}

func (v *validator) capabilities() {
	for _, name := range keysSorted(v.p.Capabilities) {
		if !slices.Contains(Capabilities(), name) {
			v.bad(join("capabilities", name), "unknown capability: %s", nearest.Hint(name, Capabilities()))
		}
	}
}

// hdcpVersions are those that a promise may name, the weakest first.
var hdcpVersions = []string{"none", "v1", "v2", "v2.1", "v2.2", "v2.3"}

// PromiseOf returns what the contract says of licenses for a track label: of the label, or else of every track.
func (p *Profile) PromiseOf(label string) (Promise, bool) {
	for _, key := range []string{label, "*", ""} {
		if promise, ok := p.Promises[key]; ok {
			return promise, true
		}
	}
	return Promise{}, false
}

func (v *validator) promises() {
	for _, label := range keysSorted(v.p.Promises) {
		path, promise := join("promises", label), v.p.Promises[label]
		if promise.HDCP != "" {
			oneOf(v, path+".hdcp", promise.HDCP, hdcpVersions...)
		}
		low, high := 1, 5
		if v.p.DRM == drm.PlayReady {
			low, high = 150, 3000
		}
		if level := promise.SecurityLevel; level != 0 && (level < low || level > high) {
			v.bad(path+".security_level", "want a level of %s, %d to %d, seen %d", v.p.DRM, low, high, level)
		}
	}
}
