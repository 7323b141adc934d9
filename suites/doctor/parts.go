package doctor

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"keyflow/drm/xmltree"
)

// jsonParts tells the members of JSON.
func jsonParts(body []byte) []Value {
	var tree any
	if json.Unmarshal(body, &tree) != nil {
		return []Value{}
	}
	return walkJSON("$", tree, 0)
}

// maxInside is how deep JSON in base64 in JSON is looked into.
const maxInside = 2

func walkJSON(path string, v any, inside int) []Value {
	parts := []Value{}
	switch v := v.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			parts = append(parts, walkJSON(path+"."+key, v[key], inside)...)
		}
	case []any:
		parts = append(parts, Value{path, fmt.Sprintf("a list of %d", len(v))})
		if len(v) > 0 && len(v) < maxParts {
			parts = append(parts, walkJSON(path+"[0]", v[0], inside)...)
		}
	case string:
		parts = append(parts, Value{path, fmt.Sprintf("text, %d characters", len(v))})
		if inside < maxInside {
			parts = append(parts, hiddenJSON(path, v, inside)...)
		}
	case float64:
		parts = append(parts, Value{path, "a number"})
	case bool:
		parts = append(parts, Value{path, "true or false"})
	default:
		parts = append(parts, Value{path, "null"})
	}
	return parts
}

// hiddenJSON tells the members of JSON that stands as text, or as base64, in JSON.
func hiddenJSON(path, text string, inside int) []Value {
	how := "JSON"
	raw := []byte(text)
	if !strings.HasPrefix(text, "{") {
		how = "base64 of JSON"
		decoded, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return nil
		}
		raw = decoded
	}
	var members map[string]any
	if json.Unmarshal(raw, &members) != nil {
		return nil
	}
	return walkJSON(path+" ("+how+")", members, inside+1)
}

// formParts tells the fields of a form, as they are written.
func formParts(body []byte) []Value {
	parts := []Value{}
	for pair := range strings.SplitSeq(string(body), "&") {
		name, value, _ := strings.Cut(pair, "=")
		parts = append(parts, Value{name, fmt.Sprintf("%d characters", len(value))})
	}
	return parts
}

// xmlBounds limit the XML that is looked into: keyflow has made it.
var xmlBounds = xmltree.Bounds{Bytes: maxUnzipped, Elements: 2000, Depth: 64}

// xmlParts tells the elements of XML that have text.
func xmlParts(body []byte) []Value {
	root, err := xmltree.Parse(string(body), xmlBounds)
	if err != nil {
		return []Value{}
	}
	return walkXML("", root)
}

func walkXML(path string, n *xmltree.Node) []Value {
	path += "/" + n.Name.Local
	parts := []Value{}
	if text := strings.TrimSpace(n.Text); text != "" {
		parts = append(parts, Value{path, fmt.Sprintf("text, %d characters", len(text))})
	}
	for _, c := range n.Children {
		parts = append(parts, walkXML(path, c)...)
	}
	return parts
}
