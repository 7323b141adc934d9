package xmr

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/tink-crypto/tink-go/v2/prf/subtle"

	"keyflow/drm/secret"
)

// Version is that of every license seen.
const Version = 3

const (
	signatureCMAC      = 1
	signatureObjectLen = headerLen + 4 + 16
)

var magic = []byte{'X', 'M', 'R', 0}

// License is an XMR license, read. What is read is not verified, see [License.Verify].
type License struct {
	RightsID [16]byte
	Outer    *Object // the whole tree
	Raw      []byte
	Keys
	Policy

	// Unread are the objects of the tree that no field is read from, in order: what is not known, or by name alone, and what
	// restricts a right that no player has.
	Unread []*Object

	cmac []byte
	seen map[place]bool
}

// States reports whether a field was read from an object of the type. It tells what is stated as zero from what is not stated.
func (l *License) States(t Type) bool {
	if !copying[t] {
		return l.seen[place{t, 0}]
	}
	return l.seen[place{t, 0}] || l.seen[place{t, TypeCopy}] || l.seen[place{t, TypeExecute}] || l.seen[place{t, TypeRead}]
}

// Parse reads a license strictly: every length is exact, one outer container fills the license, no object stands twice or in a
// wrong place, leaves are leaves and containers are containers. Objects that are not known, or by name alone, are kept in
// the tree; one that must be understood and is not known is refused. Errors name the path to the object.
func Parse(b []byte) (*License, error) {
	l, err := Read(b)
	if err != nil {
		return nil, err
	}
	return l, nil
}

// Read does what [Parse] does, and returns with an error what it read before that, or nil: to be shown, never to be used. Without
// a tree that can be read it is the Rights ID alone.
func Read(b []byte) (*License, error) {
	l, err := parse(b)
	if err != nil {
		return l, fmt.Errorf("xmr: %w", err)
	}
	return l, nil
}

func parse(b []byte) (*License, error) {
	switch {
	case len(b) > MaxLen:
		return nil, fmt.Errorf("%d bytes, at most %d are read", len(b), MaxLen)
	case len(b) < preludeLen:
		return nil, fmt.Errorf("%d bytes, a license has %d before its outer container", len(b), preludeLen)
	case !bytes.Equal(b[:4], magic):
		return nil, errors.New("does not begin with XMR")
	}
	if v := binary.BigEndian.Uint32(b[4:]); v != Version {
		return nil, fmt.Errorf("version %d, want %d", v, Version)
	}
	b = bytes.Clone(b)
	l := &License{RightsID: [16]byte(b[8:24]), Raw: b, seen: map[place]bool{}}
	var end int
	var err error
	if l.Outer, end, err = (&parser{buf: b}).object(preludeLen, len(b), 1); err != nil {
		return l, err
	}
	switch {
	case l.Outer.Type != TypeOuter || l.Outer.Flags&FlagContainer == 0:
		return l, l.Outer.refuse("want the outer container")
	case end != len(b):
		return l, fmt.Errorf("%d bytes follow the outer container", len(b)-end)
	}
	if err := (&reader{license: l, seen: l.seen}).container(l.Outer, 0); err != nil {
		return l, err
	}
	return l, l.complete()
}

// complete demands the objects that no client can do without.
func (l *License) complete() error {
	switch children := l.Outer.Children; {
	case l.EncryptedKey == nil:
		return l.Outer.refuse("no content key")
	case l.cmac == nil:
		return l.Outer.refuse("no signature")
	case children[len(children)-1].Type != TypeSignature:
		return l.Outer.refuse("the signature is not the last object")
	}
	return nil
}

// place is where an object may stand once: a right other than that to play, or the rest of the license, 0.
type place struct{ object, right Type }

// reader takes the objects of a tree into the fields of a license.
type reader struct {
	license *License
	seen    map[place]bool
}

func (r *reader) container(c *Object, right Type) error {
	for _, o := range c.Children {
		s, known := specOf(o.Type)
		if !known && o.Flags&FlagMustUnderstand != 0 {
			return c.inside(o.refuse("must be understood, and is not known"))
		}
		if !known || s.kind == nameOnly {
			r.license.Unread = append(r.license.Unread, o)
			continue // it is kept, and what is in it means nothing to this client
		}
		if err := r.object(o, s, c.Type, right); err != nil {
			return c.inside(err)
		}
	}
	return nil
}

func (r *reader) object(o *Object, s spec, in, right Type) error {
	here := place{o.Type, right}
	switch isContainer := o.Flags&FlagContainer != 0; {
	case isContainer != (s.kind == container):
		return o.refuse("flags %04x, want %s", o.Flags, map[bool]string{true: "a leaf", false: "a container"}[isContainer])
	case s.in != 0 && s.in != in:
		return o.refuse("stands in the wrong container")
	case !s.many && r.seen[here]:
		return o.refuse("stands twice")
	case !isContainer && (len(o.Body) < s.size || len(o.Body) > s.size && !s.andMore):
		return o.refuse("a body of %d bytes, want %s", len(o.Body), s.want())
	}
	r.seen[here] = true
	switch o.Type {
	case TypePlayback:
		r.license.CanPlay = true
	case TypeCopy, TypeExecute, TypeRead:
		right = o.Type
	}
	switch {
	case s.kind == container:
		return r.container(o, right)
	case right != 0 && !copying[o.Type]: // it restricts a right that no player has
		r.license.Unread = append(r.license.Unread, o)
	case s.set != nil:
		s.set(&r.license.Policy, o.Body)
	case s.read != nil:
		if err := s.read(r.license, o.Body); err != nil {
			return o.refuse("%w", err)
		}
	}
	return nil
}

// copying are the policies that are about copies and are therefore read under any right.
var copying = map[Type]bool{TypeCopyEnabler: true, TypeMoveEnabler: true, TypeCopyCount: true}

// want returns the length of a leaf's body, for messages.
func (s spec) want() string {
	if s.andMore {
		return fmt.Sprintf("%d or more", s.size)
	}
	return fmt.Sprint(s.size)
}

func (l *License) readSignature(b body) error {
	if b.u16(0) != signatureCMAC || b.u16(2) != 16 {
		return fmt.Errorf("type %d with %d bytes, want type %d with 16", b.u16(0), b.u16(2), signatureCMAC)
	}
	l.cmac = b[4:]
	return nil
}

// Verify reports whether the license's AES-CMAC is that under the integrity key, 16 bytes (sheet playready.md §9.5).
func (l *License) Verify(integrity secret.Bytes) bool {
	if len(l.Raw) < signatureObjectLen {
		return false // it does not come from Parse
	}
	tag, err := CMAC(integrity, l.Raw[:len(l.Raw)-signatureObjectLen])
	return err == nil && secret.New(tag).Equal(secret.New(l.cmac))
}

// CMAC returns the AES-CMAC of a message, 16 bytes, under a key of 16 bytes.
func CMAC(key secret.Bytes, message []byte) ([]byte, error) {
	if key.Len() != 16 {
		return nil, fmt.Errorf("integrity key has %d bytes, want 16", key.Len())
	}
	p, err := subtle.NewAESCMACPRF(key.Reveal())
	if err != nil {
		return nil, fmt.Errorf("compute CMAC: %w", err)
	}
	return p.ComputePRF(message, 16)
}
