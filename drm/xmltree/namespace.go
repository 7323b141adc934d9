package xmltree

import (
	"encoding/xml"
	"strings"
)

// maxAttrs is the number of attributes that an element may have.
const maxAttrs = 64

// The namespaces that are bound to their prefixes by definition (Namespaces in XML 1.0, 3).
const (
	uriXML   = "http://www.w3.org/XML/1998/namespace"
	uriXMLNS = "http://www.w3.org/2000/xmlns/"
)

// namespaces are the declarations in scope.
type namespaces struct {
	uris map[string]string // by prefix; "" is the default namespace
	undo []binding         // what the declarations of open elements replaced
}

type binding struct {
	prefix, uri string
	declared    bool
}

// enter takes over the declarations of a start tag whose names are as written, and returns the names with URIs.
func (s *namespaces) enter(t xml.StartElement) (xml.Name, []xml.Attr, error) {
	for _, a := range t.Attr {
		switch {
		case a.Name.Space == "" && a.Name.Local == "xmlns":
			if a.Value == uriXML || a.Value == uriXMLNS {
				return xml.Name{}, nil, &Error{"a namespace that may be the default", clip(a.Value)}
			}
			s.declare("", a.Value)
		case a.Name.Space == "xmlns":
			if err := s.declarePrefix(a.Name.Local, a.Value); err != nil {
				return xml.Name{}, nil, err
			}
		}
	}
	name, err := s.resolve(t.Name)
	if err != nil {
		return xml.Name{}, nil, err
	}
	attrs, err := s.attributes(t.Attr)
	return name, attrs, err
}

func (s *namespaces) declare(prefix, uri string) {
	old, declared := s.uris[prefix]
	s.undo = append(s.undo, binding{prefix, old, declared})
	s.uris[prefix] = uri
}

func (s *namespaces) declarePrefix(prefix, uri string) error {
	switch {
	case prefix == "xmlns", (prefix == "xml") != (uri == uriXML), uri == uriXMLNS, uri == "":
		return &Error{"a prefix of a namespace of its own", "xmlns:" + clip(prefix) + `="` + clip(uri) + `"`}
	}
	s.declare(prefix, uri)
	return nil
}

// leave takes the declarations back that were made since len(undo) was mark.
func (s *namespaces) leave(mark int) {
	for i := len(s.undo) - 1; i >= mark; i-- {
		if b := s.undo[i]; b.declared {
			s.uris[b.prefix] = b.uri
		} else {
			delete(s.uris, b.prefix)
		}
	}
	s.undo = s.undo[:mark]
}

// resolve returns an element's name with its URI.
func (s *namespaces) resolve(name xml.Name) (xml.Name, error) {
	uri, declared := s.uris[name.Space]
	switch {
	case strings.Contains(name.Local, ":"):
		return name, &Error{"a name, with or without a prefix", clip(name.Local)}
	case !declared && name.Space != "":
		return name, &Error{"a declared prefix", clip(name.Space) + ":" + clip(name.Local)}
	}
	return xml.Name{Space: uri, Local: name.Local}, nil
}

// attributes returns the attributes with URIs. None may be there twice, not under two prefixes of one namespace either.
func (s *namespaces) attributes(written []xml.Attr) ([]xml.Attr, error) {
	if len(written) == 0 {
		return nil, nil
	}
	attrs, seen := make([]xml.Attr, 0, len(written)), make(map[xml.Name]bool, len(written))
	for _, a := range written {
		id := a.Name
		switch {
		case a.Name.Space == "xmlns":
			id.Space = uriXMLNS // which no prefix can be bound to
		case a.Name.Space == "" && !strings.Contains(a.Name.Local, ":"):
		default:
			name, err := s.resolve(a.Name)
			if err != nil {
				return nil, err
			}
			a.Name, id = name, name
		}
		if seen[id] {
			return nil, &Error{"each attribute once", clip(a.Name.Local) + " twice"}
		}
		seen[id] = true
		attrs = append(attrs, a)
	}
	return attrs, nil
}
