package main

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// The bounds of what is told of a stranger's protobuf message.
const (
	maxProtoFields   = 10_000 // read one by one, of a message that is not whole
	maxProtoDepth    = 16
	maxUnknownFields = 100
)

// readProto reads a message, or else as many of its fields as can be read; then the error tells the first that cannot. Of a field
// that is cut off, or is a message that does not parse, what is there is taken.
func readProto(b []byte, m proto.Message) error {
	return readFields(b, m.ProtoReflect(), 0)
}

func readFields(b []byte, m protoreflect.Message, depth int) error {
	if proto.Unmarshal(b, m.Interface()) == nil {
		return nil
	}
	proto.Reset(m.Interface())
	var problem error
	note := func(at int, err error) {
		if problem == nil && err != nil {
			problem = fmt.Errorf("byte %d: %w", at, err)
		}
	}
	for at, n := 0, 0; at < len(b); n++ {
		number, _, size := protowire.ConsumeField(b[at:])
		switch {
		case n == maxProtoFields:
			note(at, fmt.Errorf("more than %d fields", maxProtoFields))
			return problem
		case size < 0:
			note(at, cutField(b[at:], m, depth))
			return problem
		case !mergeField(b[at:at+size], m):
			_, _, head := protowire.ConsumeTag(b[at:])
			value, _ := protowire.ConsumeBytes(b[at+head:])
			note(at, partOf(number, value, m, depth))
		}
		at += size
	}
	if problem == nil { // each field parses, and all together do not
		problem = errors.New("it does not parse")
	}
	return problem
}

// mergeField reads one field into a message, and reports whether it can be read. If not, the message is left as it was.
func mergeField(field []byte, m protoreflect.Message) bool {
	one := m.New().Interface()
	if proto.Unmarshal(field, one) != nil {
		return false
	}
	proto.Merge(m.Interface(), one)
	return true
}

// partOf reads what can be read of a field that is a message, and says what cannot.
func partOf(number protowire.Number, value []byte, m protoreflect.Message, depth int) error {
	f := m.Descriptor().Fields().ByNumber(number)
	if f == nil || f.Message() == nil || depth == maxProtoDepth {
		return fmt.Errorf("field %d, %d bytes, does not parse", number, len(value))
	}
	if f.IsList() {
		item := m.Mutable(f).List().AppendMutable().Message()
		return fmt.Errorf("field %d: %w", number, readFields(value, item, depth+1))
	}
	part := m.New().Mutable(f).Message()
	err := readFields(value, part, depth+1)
	proto.Merge(m.Mutable(f).Message().Interface(), part.Interface())
	return fmt.Errorf("field %d: %w", number, err)
}

// cutField takes what there is of a field of bytes, or of a message, that states more than is left, and says what is wrong.
func cutField(b []byte, m protoreflect.Message, depth int) error {
	number, kind, head := protowire.ConsumeTag(b)
	if head < 0 {
		return errors.New("no field begins here")
	}
	if kind != protowire.BytesType {
		return fmt.Errorf("field %d is cut off or no field", number)
	}
	stated, n := protowire.ConsumeVarint(b[head:])
	if n < 0 {
		return fmt.Errorf("field %d has no length", number)
	}
	rest := b[head+n:]
	if !mergeField(protowire.AppendBytes(protowire.AppendTag(nil, number, protowire.BytesType), rest), m) {
		_ = partOf(number, rest, m, depth) // that it is cut off says it all
	}
	return fmt.Errorf("field %d is cut off: it states %d bytes, %d are left", number, stated, len(rest))
}

// inspectedUnknown is a field that the schema does not have, or has with another wire type.
type inspectedUnknown struct {
	Field string `json:"field"` // the path of its message and its number, such as License.id.7
	Type  string `json:"wire_type"`
	Bytes int    `json:"bytes"` // of its value
}

var wireTypes = map[protowire.Type]string{
	protowire.VarintType: "varint", protowire.Fixed32Type: "fixed32", protowire.Fixed64Type: "fixed64", protowire.BytesType: "bytes",
	protowire.StartGroupType: "group",
}

// unknown takes down the unknown fields of a message and of all messages in it, at most [maxUnknownFields].
func (v *inspectedWV) unknown(path string, m protoreflect.Message) {
	for raw := m.GetUnknown(); len(raw) > 0 && len(v.Unknown) < maxUnknownFields; {
		number, kind, head := protowire.ConsumeTag(raw)
		n := protowire.ConsumeFieldValue(number, kind, raw[max(head, 0):])
		if head < 0 || n < 0 {
			return // proto.Unmarshal keeps whole fields alone
		}
		value := n
		if kind == protowire.BytesType {
			b, _ := protowire.ConsumeBytes(raw[head:])
			value = len(b)
		}
		v.Unknown = append(v.Unknown, inspectedUnknown{fmt.Sprintf("%s.%d", path, number), wireTypes[kind], value})
		raw = raw[head+n:]
	}
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		if f.Message() == nil || !m.Has(f) || f.Message() == m.Descriptor() { // a certificate's signer is looked at on its own
			continue
		}
		if !f.IsList() {
			v.unknown(path+"."+string(f.Name()), m.Get(f).Message())
			continue
		}
		list := m.Get(f).List()
		for i := range min(list.Len(), maxContainers) {
			v.unknown(fmt.Sprintf("%s.%s[%d]", path, f.Name(), i), list.Get(i).Message())
		}
	}
}

// enumText returns a number of an enumeration with its name.
func enumText(e protoreflect.Enum) string {
	if value := e.Descriptor().Values().ByNumber(e.Number()); value != nil {
		return fmt.Sprintf("%d (%s)", e.Number(), value.Name())
	}
	return fmt.Sprintf("%d (not known)", e.Number())
}

// enumStated returns the text of an enumeration's value that is stated, "" if it is not.
func enumStated[E protoreflect.Enum](e *E) string {
	if e == nil {
		return ""
	}
	return enumText(*e)
}

// enumTexts returns the texts of a list's values.
func enumTexts[E protoreflect.Enum](list []E) []string {
	var texts []string
	for _, e := range list[:min(len(list), maxListed)] {
		texts = append(texts, enumText(e))
	}
	return texts
}
