// Package provider holds provider profiles: where a key request goes, what is attached to it, and how the answer is
// unwrapped and read. A provider is data, a YAML file; there is no Go code per provider.
//
// [Load] reads a profile strictly: an unknown key is an error that names the line and the nearest valid key. The steps
// between the posts, [Profile.Build] and [Profile.Read], are pure; only [Profile.Lease] may do I/O.
package provider

import "keyflow/drm"

// Version is the profile schema that this package reads, the value of the key "profile".
const Version = 1

// Profile is one provider for one DRM system (sheet providers.md §4).
type Profile struct {
	Version  int        `yaml:"profile"`
	ID       string     `yaml:"id"`
	DRM      drm.System `yaml:"drm"`
	Request  Endpoint   `yaml:"request"`
	Response Response   `yaml:"response"`

	// Origin is the file that the profile was read from, for messages.
	Origin string `yaml:"-"`
}

// Endpoint says where a key request goes.
type Endpoint struct {
	URL         string `yaml:"url"`
	ContentType string `yaml:"content_type"`
}

// Response says what a license looks like on the wire.
type Response struct {
	OKStatus     []int    `yaml:"ok_status"`
	ContentTypes []string `yaml:"content_types"` // empty: any
	MaxBytes     int64    `yaml:"max_bytes"`     // of an answer's body
}
