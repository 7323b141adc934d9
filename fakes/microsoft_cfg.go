package fakes

import (
	"encoding/base64"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"keyflow/drm"
	"keyflow/drm/playready/soap"
	"keyflow/drm/playready/xmr"
	"keyflow/drm/pssh"
	"keyflow/drm/secret"
)

// maxGroups bounds the licenses that one query may ask for.
const maxGroups = 64

// readCfg reads the value of cfg (sheet providers.md §2.15): groups of pairs,
//
//	(kid:header,sl:2000),(kid:00010203-0405-0607-0809-0a0b0c0d0e0f,persist:true)
//
// without spaces. A name may stand once in each group.
func readCfg(text string) ([]cfgGroup, *flaw) {
	wrong := func(text string) *flaw { return &flaw{reasonSyntax, text} }
	inside, opened := strings.CutPrefix(text, "(")
	inside, closed := strings.CutSuffix(inside, ")")
	parts := strings.Split(inside, "),(")
	if !opened || !closed || len(parts) > maxGroups || strings.ContainsAny(text, " \t\r\n") {
		return nil, wrong("cfg is not as (name:value,name:value),(name:value)")
	}
	var groups []cfgGroup
	for _, part := range parts {
		g, seen := newGroup(), map[string]bool{}
		for pair := range strings.SplitSeq(part, ",") {
			name, value, ok := strings.Cut(pair, ":")
			set, known := cfgNames[name]
			switch {
			case !ok || name == "" || strings.ContainsAny(pair, "()"):
				return nil, wrong("cfg is not as (name:value,name:value),(name:value)")
			case slices.Contains(cfgUnserved, name):
				return nil, wrong(name + " of cfg is not served here")
			case !known:
				return nil, wrong("cfg has a name that is not known")
			case seen[name]:
				return nil, wrong(name + " stands twice in a group of cfg")
			case !set(&g, value):
				return nil, wrong(name + " of cfg has no right value")
			}
			seen[name] = true
		}
		if seen["enddate"] && seen["expiration"] || seen["contentkey"] && (seen["ck"] || seen["keyseed"]) {
			return nil, wrong("a group of cfg says the same by two names")
		}
		groups = append(groups, g)
	}
	return groups, nil
}

// cfgUnserved are names of the document that the stand-in has no licenses for.
var cfgUnserved = []string{
	"removaldate", "isroot", "rootid", "dvop", "daop", "avop", "playenablers", "maxres", "securestop", "tid",
}

// cfgNames set what a name says, and report whether the value is one.
var cfgNames = map[string]func(g *cfgGroup, value string) bool{
	"kid":            (*cfgGroup).setKID,
	"contentkey":     (*cfgGroup).setKey,
	"ck":             (*cfgGroup).setKey, // in examples
	"keyseed":        (*cfgGroup).setSeed,
	"ckt":            (*cfgGroup).setKeyType,
	"sl":             (*cfgGroup).setLevel,
	"persist":        func(g *cfgGroup, v string) bool { return setBool(&g.persist, v) },
	"realtime":       func(g *cfgGroup, v string) bool { return setBool(&g.realTime, v) },
	"allowunknownsd": func(g *cfgGroup, v string) bool { return setBool(&g.unknownSD, v) },
	"allowunknownhd": func(g *cfgGroup, v string) bool { return setBool(&g.unknown, v) },
	"begindate":      func(g *cfgGroup, v string) bool { return setDate(&g.begin, v) },
	"enddate":        func(g *cfgGroup, v string) bool { return setDate(&g.end, v) },
	"expiration":     func(g *cfgGroup, v string) bool { return setDate(&g.end, v) },
	"firstexp":       (*cfgGroup).setFirstPlay,
	"caopl":          func(g *cfgGroup, v string) bool { return setLevelOf(&g.outputs().CompressedAudio, v) },
	"ucaopl":         func(g *cfgGroup, v string) bool { return setLevelOf(&g.outputs().UncompressedAudio, v) },
	"cvopl":          func(g *cfgGroup, v string) bool { return setLevelOf(&g.outputs().CompressedVideo, v) },
	"ucvopl":         func(g *cfgGroup, v string) bool { return setLevelOf(&g.outputs().UncompressedVideo, v) },
	"avopl":          func(g *cfgGroup, v string) bool { return setLevelOf(&g.outputs().AnalogVideo, v) },
	"errorcode":      (*cfgGroup).setCode,
	"revoked":        (*cfgGroup).setRevoked,
	"msg":            func(g *cfgGroup, v string) bool { g.clientInfo = true; return v == "clientinfo" },
}

// setKID reads header, a GUID as text, or the base64 of the header, which is in the byte order of a GUID and padded.
func (g *cfgGroup) setKID(value string) bool {
	bare := strings.TrimSuffix(strings.TrimPrefix(value, "{"), "}")
	switch {
	case value == "header":
		return true
	case guidForm.MatchString(bare) && (len(bare) == len(value) || len(bare) == len(value)-2):
		kid, err := drm.ParseKID(bare)
		g.kid = &kid
		return err == nil
	}
	b, ok := base64Of16(value)
	if ok {
		g.kid = new(pssh.KIDOfGUID([16]byte(b)))
	}
	return ok
}

func (g *cfgGroup) setKey(value string) bool {
	b, ok := base64Of16(value)
	g.key = secret.New(b)
	return ok
}

func (g *cfgGroup) setSeed(value string) bool {
	b, err := base64.StdEncoding.Strict().DecodeString(value)
	g.seed = secret.New(b)
	_, short := pssh.KeyFromSeed(g.seed, drm.KID{})
	return err == nil && short == nil
}

// setKeyType reads the two types of content keys; an example of the document has them in a short form. That of keys that are only
// exchanged is not served.
func (g *cfgGroup) setKeyType(value string) bool {
	g.keyType = map[string]xmr.KeyType{
		"aes128bitctr": xmr.KeyAESCTR, "aesctr": xmr.KeyAESCTR, "aes128bitcbc": xmr.KeyAESCBC, "aescbc": xmr.KeyAESCBC,
	}[value]
	return g.keyType != 0
}

func (g *cfgGroup) setLevel(value string) bool {
	g.level = map[string]int{"150": leastSecurityLevel, "2000": usualSecurityLevel, "3000": 3000}[value]
	return g.level != 0
}

func (g *cfgGroup) setFirstPlay(value string) bool {
	n, err := strconv.ParseUint(value, 10, 31)
	g.firstPlay = time.Duration(n) * time.Second
	return err == nil && n > 0
}

func (g *cfgGroup) outputs() *xmr.OutputProtection {
	if g.output == nil {
		g.output = new(xmr.OutputProtection)
	}
	return g.output
}

// codeForm are the codes of license servers.
var codeForm = regexp.MustCompile(`^0[xX]8004[cC][0-9a-fA-F]{3}$`)

func (g *cfgGroup) setCode(value string) bool {
	if !codeForm.MatchString(value) {
		return false
	}
	n, err := strconv.ParseUint(value[2:], 16, 32)
	g.code = soap.Code(n)
	return err == nil
}

func (g *cfgGroup) setRevoked(value string) bool {
	var revoked bool
	ok := setBool(&revoked, value)
	if revoked {
		g.code = soap.CodeDeviceRevoked
	}
	return ok
}

func setBool(to *bool, value string) bool {
	*to = value == "true"
	return *to || value == "false"
}

// setDate reads a date, or a date and a time of day, in GMT, that a license can say.
func setDate(to *time.Time, value string) bool {
	form := "20060102150405"
	if len(value) == 8 {
		form = form[:8]
	}
	var err error
	*to, err = time.Parse(form, value)
	return err == nil && to.Unix() > 0 && to.Unix() <= lastEnd
}

func setLevelOf(to *uint16, value string) bool {
	n, err := strconv.ParseUint(value, 10, 16)
	*to = uint16(n)
	return err == nil && n <= maxOPL
}
