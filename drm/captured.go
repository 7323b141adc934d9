package drm

import (
	"time"

	"keyflow/drm/secret"
)

// Captured is what a recorded key request tells of itself, whichever device made it. Nothing of it is verified.
type Captured struct {
	System     System
	Kind       Kind
	Body       []byte // as the client handed it out, before a profile dresses it
	KIDs       []KID  // that it asks for; nil if it names none
	Box        Box    // of the content, made again; zero if the request does not hold its data
	Made       time.Time
	CustomData secret.Bytes // of PlayReady: it may hold a token
}

// Recognizer is a platform that can tell a key request of its own device: its signature is the device's.
type Recognizer interface {
	Recognizes(request []byte) bool
}
