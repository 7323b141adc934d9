// Package xmr reads and builds XMR licenses, PlayReady's binary license format (sheet playready.md §9). All integers are
// big-endian; KIDs are in GUID order on the wire and nowhere else.
package xmr

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Type is the type of an object.
type Type uint16

// The types that keyflow reads or writes.
const (
	TypeOuter           Type = 0x0001 // container
	TypeGlobalPolicy    Type = 0x0002 // container
	TypePlayback        Type = 0x0004 // container
	TypeOutput          Type = 0x0005
	TypeUplinkKID       Type = 0x0006
	TypeKeyMaterial     Type = 0x0009 // container
	TypeContentKey      Type = 0x000A
	TypeSignature       Type = 0x000B
	TypeSettings        Type = 0x000D
	TypeExpiration      Type = 0x0012
	TypeIssueDate       Type = 0x0013
	TypeGracePeriod     Type = 0x001A
	TypeDeviceKey       Type = 0x002A
	TypeFirstPlay       Type = 0x0030
	TypeRevocation      Type = 0x0032
	TypeEmbedding       Type = 0x0033
	TypeSecurityLevel   Type = 0x0034
	TypeUplinkKID2      Type = 0x003B
	TypeAuxiliaryKeys   Type = 0x0051
	TypeUplinkX         Type = 0x0052
	TypeRealTimeExpiry  Type = 0x0055
	typePlayEnablers    Type = 0x0036 // container
	typeUnknown         Type = 0xFFFD
	typeUnknownInternal Type = 0xFFFE
)

// names are those of sheet playready.md §9.1 and §9.2, for messages; a type without one is still kept.
var names = map[Type]string{
	TypeOuter: "outer container", TypeGlobalPolicy: "global policy", 0x0003: "minimum environment", TypePlayback: "playback policy",
	TypeOutput: "output protection", TypeUplinkKID: "uplink KID", 0x0007: "analog video outputs", 0x0008: "analog video output",
	TypeKeyMaterial: "key material", TypeContentKey: "content key", TypeSignature: "signature", 0x000C: "serial number",
	TypeSettings: "settings", 0x000E: "copy policy", 0x0011: "priority", TypeExpiration: "expiration", TypeIssueDate: "issue date",
	0x0014: "expire after first use", 0x0015: "expire after first store", 0x0016: "metering id", 0x0017: "play count",
	TypeGracePeriod: "grace period", 0x001B: "copy count", 0x0020: "revocation info version", 0x0022: "source id",
	0x0025: "revocation", 0x0028: "restricted source id", 0x0029: "domain id", TypeDeviceKey: "device key", 0x002B: "generation number",
	0x002C: "policy metadata", 0x002D: "optimized content key", 0x002E: "digital audio outputs", TypeFirstPlay: "expire after first play",
	0x0031: "digital audio output", TypeRevocation: "revocation info version 2", TypeEmbedding: "embedding behavior",
	TypeSecurityLevel: "security level", typePlayEnablers: "play enablers", 0x0037: "move enabler", 0x0039: "play enabler",
	0x003A: "copy enabler", TypeUplinkKID2: "uplink KID 2", 0x003C: "copy policy 2", 0x003D: "copy count 2", 0x0050: "removal date",
	TypeAuxiliaryKeys: "auxiliary keys", TypeUplinkX: "uplink X", 0x0054: "application ids", TypeRealTimeExpiry: "real-time expiration",
	0x0058: "digital video outputs", 0x0059: "digital video output", 0x005A: "secure stop", 0x005C: "secure stop 2", 0x005D: "optimized content key 2",
	typeUnknown: "unknown object", typeUnknownInternal: "unknown container",
}

// String returns the name, or the number of a type without one.
func (t Type) String() string {
	if name, ok := names[t]; ok {
		return name
	}
	return fmt.Sprintf("object 0x%04x", uint16(t))
}

// The flags of an object.
const (
	FlagMustUnderstand = 0x0001
	FlagContainer      = 0x0002
)

// Bounds of what is read.
const (
	MaxLen     = 64 << 10 // bytes of a license
	maxDepth   = 8
	maxObjects = 512
	headerLen  = 8
	preludeLen = 24 // before the outer container
)

// Object is one object of a license: a container with children or a leaf with a body.
type Object struct {
	Type     Type
	Flags    uint16
	Offset   int       // of its header in the license that it was read from
	Body     []byte    // of a leaf
	Children []*Object // of a container
}

// Container returns a container that must be understood, or not.
func Container(t Type, flags uint16, children ...*Object) *Object {
	return &Object{Type: t, Flags: flags | FlagContainer, Children: children}
}

// Leaf returns a leaf.
func Leaf(t Type, flags uint16, body []byte) *Object {
	return &Object{Type: t, Flags: flags, Body: body}
}

// Find returns the first object of a type, the object itself or one below it, or nil.
func (o *Object) Find(t Type) *Object {
	if o == nil || o.Type == t {
		return o
	}
	for _, c := range o.Children {
		if found := c.Find(t); found != nil {
			return found
		}
	}
	return nil
}

// Append appends the object's bytes: its header, with the true length, and what is in it.
func (o *Object) Append(b []byte) []byte {
	start := len(b)
	b = binary.BigEndian.AppendUint16(b, o.Flags)
	b = binary.BigEndian.AppendUint16(b, uint16(o.Type))
	b = append(b, 0, 0, 0, 0)
	b = append(b, o.Body...)
	for _, c := range o.Children {
		b = c.Append(b)
	}
	binary.BigEndian.PutUint32(b[start+4:], uint32(len(b)-start))
	return b
}

// parser reads a tree within bounds.
type parser struct {
	buf     []byte
	objects int
}

// object reads the object at an offset, which must end at or before end.
func (p *parser) object(path string, at, end, depth int) (*Object, int, error) {
	if depth > maxDepth {
		return nil, 0, fmt.Errorf("%s: more than %d levels", path, maxDepth)
	}
	if p.objects++; p.objects > maxObjects {
		return nil, 0, fmt.Errorf("%s: more than %d objects", path, maxObjects)
	}
	if end-at < headerLen {
		return nil, 0, fmt.Errorf("%s: %d bytes left at byte %d, an object's header has %d", path, end-at, at, headerLen)
	}
	o := &Object{Flags: binary.BigEndian.Uint16(p.buf[at:]), Type: Type(binary.BigEndian.Uint16(p.buf[at+2:])), Offset: at}
	length := binary.BigEndian.Uint32(p.buf[at+4:])
	if path != "" {
		path += "/"
	}
	path += o.Type.String()
	if length < headerLen || int64(length) > int64(end-at) {
		return nil, 0, fmt.Errorf("%s at byte %d: length %d, of %d bytes left", path, at, length, end-at)
	}
	next := at + int(length)
	if o.Flags&FlagContainer == 0 {
		o.Body = p.buf[at+headerLen : next : next]
		return o, next, nil
	}
	for child := at + headerLen; child < next; {
		c, after, err := p.object(path, child, next, depth+1)
		if err != nil {
			return nil, 0, err
		}
		o.Children = append(o.Children, c)
		child = after
	}
	return o, next, nil
}

var errMagic = errors.New("does not begin with XMR")
