package provider

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"keyflow/drm/nearest"
	"keyflow/drm/playready/soap"
)

// Param is one query parameter, header or form field; its value is a template.
type Param struct {
	Name  string
	Value string
	line  int
}

// Params are parameters in the order of the profile. A list of templates repeats the parameter.
type Params []Param

// StatusRange is a range of HTTP status codes, both ends included.
type StatusRange struct{ Low, High int }

// Statuses are HTTP status codes: a list, or a range such as "500-599".
type Statuses []StatusRange

// Has reports whether a status is among them.
func (s Statuses) Has(status int) bool {
	for _, r := range s {
		if status >= r.Low && status <= r.High {
			return true
		}
	}
	return false
}

// String returns the codes, e.g. 400 or 500-599.
func (s Statuses) String() string {
	texts := make([]string, len(s))
	for i, r := range s {
		texts[i] = strconv.Itoa(r.Low)
		if r.High != r.Low {
			texts[i] += "-" + strconv.Itoa(r.High)
		}
	}
	return strings.Join(texts, " or ")
}

// SOAPCodes are status codes of SOAP faults: 0x and eight hexadecimal digits each.
type SOAPCodes []soap.Code

// Data is any value of a profile, such as the JSON body of a token request.
type Data struct{ root *node }

// decoder reads a tree into Go values and notes everything that does not fit.
type decoder struct {
	problems problems
	lines    map[string]int  // of each key path
	failed   map[string]bool // key paths whose value is not what they take: nothing more is told of them
}

// bad notes that the value of a key does not fit.
func (d *decoder) bad(line int, path, format string, args ...any) {
	d.failed[path] = true
	d.problems.add(line, "%s: %s", orRoot(path), fmt.Sprintf(format, args...))
}

// custom is implemented by types with a form of their own.
type custom interface {
	decode(d *decoder, n *node, path string)
}

func (d *decoder) read(n *node, v reflect.Value, path string) {
	d.lines[path] = n.line
	if n.kind == nodeBad {
		d.failed[path] = true
		return
	}
	if c, ok := v.Addr().Interface().(custom); ok {
		c.decode(d, n, path)
		return
	}
	if v.Type() == reflect.TypeFor[time.Duration]() {
		d.readDuration(n, v, path)
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		d.readStruct(n, v, path)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		d.read(n, v.Elem(), path)
	case reflect.Slice:
		d.readList(n, v, path)
	case reflect.Map:
		d.readMap(n, v, path)
	default:
		d.readScalar(n, v, path)
	}
}

// want notes that a value has another kind than its key takes, and reports whether it has the right one.
func (d *decoder) want(n *node, kind nodeKind, path string) bool {
	if n.kind != kind {
		d.bad(n.line, path, "want %s, seen %s", kind, n.kind)
	}
	return n.kind == kind
}

func (d *decoder) readStruct(n *node, v reflect.Value, path string) {
	if !d.want(n, nodeMap, path) {
		return
	}
	valid, index := keysOf(v.Type())
	for _, f := range n.fields {
		i, known := index[f.key]
		if !known {
			d.problems.add(f.line, "unknown key %q: %s", join(path, f.key), nearest.Hint(f.key, valid))
			d.failed[join(path, nearest.Name(f.key, valid))] = true // that it is missing goes without saying
			continue
		}
		d.read(f.value, v.Field(i), join(path, f.key))
		d.lines[join(path, f.key)] = f.line
	}
}

func keysOf(t reflect.Type) (names []string, index map[string]int) {
	index = map[string]int{}
	for i := range t.NumField() {
		if name := t.Field(i).Tag.Get("yaml"); name != "" && name != "-" {
			names = append(names, name)
			index[name] = i
		}
	}
	return names, index
}

func (d *decoder) readList(n *node, v reflect.Value, path string) {
	if !d.want(n, nodeList, path) {
		return
	}
	list := reflect.MakeSlice(v.Type(), len(n.items), len(n.items))
	for i, item := range n.items {
		d.read(item, list.Index(i), fmt.Sprintf("%s[%d]", path, i))
	}
	v.Set(list)
}

func (d *decoder) readMap(n *node, v reflect.Value, path string) {
	if !d.want(n, nodeMap, path) {
		return
	}
	m := reflect.MakeMap(v.Type())
	for _, f := range n.fields {
		value := reflect.New(v.Type().Elem()).Elem()
		d.read(f.value, value, join(path, f.key))
		d.lines[join(path, f.key)] = f.line
		m.SetMapIndex(reflect.ValueOf(f.key), value)
	}
	v.Set(m)
}

func (d *decoder) readScalar(n *node, v reflect.Value, path string) {
	switch v.Kind() {
	case reflect.String:
		if n.kind == nodeInt || n.kind == nodeBool {
			d.bad(n.line, path, "want text, seen %s: put it in quotes", n.kind)
		} else if d.want(n, nodeString, path) {
			v.SetString(n.text)
		}
	case reflect.Bool:
		if d.want(n, nodeBool, path) {
			v.SetBool(n.scalar.(bool))
		}
	case reflect.Interface:
		if n.scalar == nil {
			d.bad(n.line, path, "want text, a whole number, true or false, seen %s", n.kind)
			return
		}
		v.Set(reflect.ValueOf(n.scalar))
	default:
		if d.want(n, nodeInt, path) {
			v.SetInt(int64(n.scalar.(int)))
		}
	}
}

func (d *decoder) readDuration(n *node, v reflect.Value, path string) {
	t, err := time.ParseDuration(n.text)
	if n.kind != nodeString || err != nil || t <= 0 {
		d.bad(n.line, path, "want a time above zero with its unit, e.g. 5m or 300s")
		return
	}
	v.SetInt(int64(t))
}

func (p *Params) decode(d *decoder, n *node, path string) {
	if !d.want(n, nodeMap, path) {
		return
	}
	for _, f := range n.fields {
		values := []*node{f.value}
		if f.value.kind == nodeList {
			values = f.value.items
		}
		d.lines[join(path, f.key)] = f.line
		for _, v := range values {
			if v.kind == nodeBad {
				continue
			}
			if v.scalar == nil {
				d.bad(v.line, join(path, f.key), "want text, seen %s", v.kind)
				continue
			}
			*p = append(*p, Param{Name: f.key, Value: v.text, line: v.line})
		}
	}
}

func (s *Statuses) decode(d *decoder, n *node, path string) {
	items := []*node{n}
	if n.kind == nodeList {
		items = n.items
	}
	for _, item := range items {
		if item.kind == nodeBad {
			continue
		}
		low, high, isRange := strings.Cut(item.text, "-")
		if !isRange {
			high = low
		}
		l, err := strconv.Atoi(low)
		h, err2 := strconv.Atoi(high)
		if err != nil || err2 != nil || l < 100 || h > 599 || l > h {
			d.bad(item.line, path, "want HTTP status codes, e.g. [400, 401] or \"500-599\", seen %q", item.text)
			continue
		}
		*s = append(*s, StatusRange{l, h})
	}
}

func (s *SOAPCodes) decode(d *decoder, n *node, path string) {
	if !d.want(n, nodeList, path) {
		return
	}
	for _, item := range n.items {
		if item.kind == nodeBad {
			continue
		}
		digits, ok := strings.CutPrefix(item.text, "0x")
		code, err := strconv.ParseUint(digits, 16, 32)
		if !ok || len(digits) != 8 || err != nil || code == 0 {
			d.bad(item.line, path, "want status codes of SOAP faults, e.g. [\"0x8004c601\"], seen %q", item.text)
			continue
		}
		*s = append(*s, soap.Code(code))
	}
}

func (a *Data) decode(_ *decoder, n *node, _ string) { a.root = n }

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
