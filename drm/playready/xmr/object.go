package xmr

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// The flags of an object (sheet playready.md §9.1).
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

// Find returns the first object of a type, the object itself or one below it, or nil. It looks into containers too that the
// fields of a [License] are not read from.
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

// object reads the object at an offset, which must end at or before end, and returns where it ends.
func (p *parser) object(at, end, depth int) (*Object, int, error) {
	if end-at < headerLen {
		return nil, 0, fmt.Errorf("%d bytes left at byte %d, an object's header has %d", end-at, at, headerLen)
	}
	o := &Object{Flags: binary.BigEndian.Uint16(p.buf[at:]), Type: Type(binary.BigEndian.Uint16(p.buf[at+2:])), Offset: at}
	length := binary.BigEndian.Uint32(p.buf[at+4:])
	p.objects++
	switch {
	case depth > maxDepth:
		return nil, 0, o.refuse("more than %d levels", maxDepth)
	case p.objects > maxObjects:
		return nil, 0, o.refuse("more than %d objects", maxObjects)
	case length < headerLen || int64(length) > int64(end-at):
		return nil, 0, o.refuse("length %d, of %d bytes left", length, end-at)
	}
	next := at + int(length)
	if o.Flags&FlagContainer == 0 {
		o.Body = p.buf[at+headerLen : next : next]
		return o, next, nil
	}
	for child := at + headerLen; child < next; {
		c, after, err := p.object(child, next, depth+1)
		if err != nil {
			return nil, 0, o.inside(err)
		}
		o.Children = append(o.Children, c)
		child = after
	}
	return o, next, nil
}

// fault is what is wrong with an object. Its path grows on the way up, so that a good license pays nothing for it.
type fault struct {
	path   string // from the outer container on, by name
	offset int    // of the object's header
	err    error
}

// Error tells the path, the offset and what is wrong.
func (f *fault) Error() string { return fmt.Sprintf("%s at byte %d: %v", f.path, f.offset, f.err) }

// Unwrap returns what is wrong.
func (f *fault) Unwrap() error { return f.err }

// refuse returns the error that something is wrong with the object.
func (o *Object) refuse(format string, args ...any) error {
	return &fault{path: o.Type.String(), offset: o.Offset, err: fmt.Errorf(format, args...)}
}

// inside returns the error of an object in this container, with the container put before its path.
func (o *Object) inside(err error) error {
	if f := (*fault)(nil); errors.As(err, &f) {
		f.path = o.Type.String() + "/" + f.path
		return err
	}
	return o.refuse("%w", err)
}
