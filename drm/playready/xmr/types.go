// Package xmr reads and builds XMR licenses, PlayReady's binary license format, and takes the keys out of those forms whose
// workings are known (sheet playready.md §9). All integers are big-endian; KIDs and other GUIDs are in GUID order on the wire
// and nowhere else.
package xmr

import (
	"fmt"

	"keyflow/drm/playready/ecc"
)

// Type is the type of an object.
type Type uint16

// The types that keyflow reads or writes (sheet playready.md §9.1, §9.2).
const (
	TypeOuter          Type = 0x0001 // container
	TypeGlobalPolicy   Type = 0x0002 // container
	TypePlayback       Type = 0x0004 // container, the right to play
	TypeOutput         Type = 0x0005
	TypeUplinkKID      Type = 0x0006
	TypeAnalogVideos   Type = 0x0007 // container
	TypeAnalogVideo    Type = 0x0008
	TypeKeyMaterial    Type = 0x0009 // container
	TypeContentKey     Type = 0x000A
	TypeSignature      Type = 0x000B
	TypeSettings       Type = 0x000D
	TypeCopy           Type = 0x000E // container, the right to copy
	TypeExpiration     Type = 0x0012
	TypeIssueDate      Type = 0x0013
	TypeMeteringID     Type = 0x0016
	TypeGracePeriod    Type = 0x001A
	TypeSourceID       Type = 0x0022
	TypeDomainID       Type = 0x0029
	TypeDeviceKey      Type = 0x002A
	TypeMetadata       Type = 0x002C
	TypeDigitalAudios  Type = 0x002E // container
	TypeFirstPlay      Type = 0x0030
	TypeDigitalAudio   Type = 0x0031
	TypeRevocation     Type = 0x0032
	TypeEmbedding      Type = 0x0033
	TypeSecurityLevel  Type = 0x0034
	TypePlayEnablers   Type = 0x0036 // container
	TypeMoveEnabler    Type = 0x0037
	TypePlayEnabler    Type = 0x0039
	TypeCopyEnabler    Type = 0x003A
	TypeUplinkKID2     Type = 0x003B
	TypeCopyCount      Type = 0x003D
	TypeExecute        Type = 0x003F // container, the right to execute
	TypeRead           Type = 0x0041 // container, the right to read
	TypeRemovalDate    Type = 0x0050
	TypeAuxiliaryKeys  Type = 0x0051
	TypeUplinkX        Type = 0x0052
	TypeRealTimeExpiry Type = 0x0055
	TypeDigitalVideos  Type = 0x0058 // container
	TypeDigitalVideo   Type = 0x0059
	TypeSecureStop     Type = 0x005A
)

// nowhere is no type of an object: the outer container stands in none.
const nowhere Type = 0xFFFF

// kind says whether objects of a type are leaves or containers.
type kind uint8

const (
	leaf      kind = iota
	container      // its children are read
	nameOnly       // either: nothing but the name is public; what is in it is kept and not read
)

// spec is what is known of a type.
type spec struct {
	name    string
	kind    kind
	in      Type // the only container that it may stand in; 0: any
	many    bool // it may stand more than once, in the license or in a right other than that to play
	size    int  // bytes of a leaf's body
	andMore bool // size is the least length, not the exact one
	set     func(*Policy, body)
	read    func(*License, body) error
}

// specs are the types whose layout is known (sheet playready.md §9.1, §9.2).
var specs = map[Type]spec{
	TypeOuter:        {name: "outer container", kind: container, in: nowhere},
	TypeGlobalPolicy: {name: "global policy", kind: container, in: TypeOuter},
	TypePlayback:     {name: "playback policy", kind: container, in: TypeOuter},
	TypeKeyMaterial:  {name: "key material", kind: container, in: TypeOuter},
	TypeCopy:         {name: "copy policy", kind: container},
	TypeExecute:      {name: "execute policy", kind: container},
	TypeRead:         {name: "read policy", kind: container},

	TypeContentKey:    {name: "content key", in: TypeKeyMaterial, size: contentKeyLen, andMore: true, read: (*License).readContentKey},
	TypeDeviceKey:     {name: "device key", in: TypeKeyMaterial, size: 4 + ecc.PublicLen, read: (*License).readDeviceKey},
	TypeSignature:     {name: "signature", in: TypeOuter, size: signatureObjectLen - headerLen, read: (*License).readSignature},
	TypeAuxiliaryKeys: {name: "auxiliary keys", size: 2, andMore: true, read: (*License).readAuxiliaryKeys},
	TypeUplinkKID:     {name: "uplink KID", andMore: true, read: (*License).readUplinkKID},
	TypeUplinkKID2:    {name: "uplink KID 2", size: 20, andMore: true, read: (*License).readUplinkKID2},
	TypeUplinkX:       {name: "uplink X", size: 20, andMore: true, read: (*License).readUplinkX},

	TypeSettings: {name: "settings", size: 2, set: func(p *Policy, b body) {
		p.Settings, p.CannotPersist = b.u16(0), b.u16(0)&settingCannotPersist != 0
	}},
	TypeExpiration: {name: "expiration", size: 8, set: func(p *Policy, b body) {
		p.Begin, p.End = moment(b.u32(0), 0), moment(b.u32(4), noEnd)
	}},
	TypeIssueDate:      {name: "issue date", size: 4, set: func(p *Policy, b body) { p.Issued = moment(b.u32(0), 0) }},
	TypeGracePeriod:    {name: "grace period", size: 4, set: func(p *Policy, b body) { p.GracePeriod = b.seconds() }},
	TypeFirstPlay:      {name: "expire after first play", size: 4, set: func(p *Policy, b body) { p.FirstPlay = b.seconds() }},
	TypeRemovalDate:    {name: "removal date", size: 4, set: func(p *Policy, b body) { p.RemovalDate = moment(b.u32(0), 0) }},
	TypeRealTimeExpiry: {name: "real-time expiration", andMore: true, set: func(p *Policy, _ body) { p.RealTimeExpiration = true }},
	TypeRevocation:     {name: "revocation info version 2", size: 4, set: func(p *Policy, b body) { p.Revocation = b.u32(0) }},
	TypeEmbedding:      {name: "embedding behavior", size: 2, set: func(p *Policy, b body) { p.Embedding = b.u16(0) }},
	TypeSecurityLevel:  {name: "security level", size: 2, set: func(p *Policy, b body) { p.SecurityLevel = int(b.u16(0)) }},
	TypeSourceID:       {name: "source id", size: 4, set: func(p *Policy, b body) { p.SourceID = b.number() }},
	TypeDomainID:       {name: "domain id", size: 20, set: func(p *Policy, b body) { p.Domain = &Domain{[16]byte(b), b.u32(16)} }},
	TypeMeteringID:     {name: "metering id", size: 16, set: func(p *Policy, b body) { p.MeteringID = b }},
	TypeSecureStop:     {name: "secure stop", size: 16, set: func(p *Policy, b body) { p.SecureStop = b }},
	TypeMetadata:       {name: "policy metadata", many: true, size: 16, andMore: true, set: func(p *Policy, b body) { b.addTo(&p.Metadata) }},

	TypeOutput: {name: "output protection", size: 10, set: func(p *Policy, b body) {
		p.Output = &OutputProtection{b.u16(0), b.u16(2), b.u16(4), b.u16(6), b.u16(8)}
	}},
	TypeAnalogVideos:  {name: "analog video outputs", kind: container, many: true},
	TypeAnalogVideo:   {name: "analog video output", many: true, size: 16, andMore: true, set: func(p *Policy, b body) { b.addTo(&p.AnalogVideo) }},
	TypeDigitalAudios: {name: "digital audio outputs", kind: container, many: true},
	TypeDigitalAudio:  {name: "digital audio output", many: true, size: 16, andMore: true, set: func(p *Policy, b body) { b.addTo(&p.DigitalAudio) }},
	TypeDigitalVideos: {name: "digital video outputs", kind: container, many: true},
	TypeDigitalVideo:  {name: "digital video output", many: true, size: 16, andMore: true, set: func(p *Policy, b body) { b.addTo(&p.DigitalVideo) }},
	TypePlayEnablers:  {name: "play enablers", kind: container, many: true},
	TypePlayEnabler:   {name: "play enabler", many: true, size: 16, set: func(p *Policy, b body) { p.PlayEnablers = append(p.PlayEnablers, b.guid()) }},

	TypeCopyEnabler: {name: "copy enabler", many: true, size: 16, set: func(p *Policy, b body) { p.CopyEnablers = append(p.CopyEnablers, b.guid()) }},
	TypeMoveEnabler: {name: "move enabler", size: 4, set: func(p *Policy, b body) { p.MoveEnabler = b.number() }},
	TypeCopyCount:   {name: "copy count 2", size: 4, set: func(p *Policy, b body) { p.CopyCount = b.number() }},
}

// others are the types of which nothing but the name is public. The pseudo types FFFD and FFFE, unknown object and unknown
// container, are not among them: to know them is to know nothing.
var others = map[Type]string{
	0x0003: "minimum environment", 0x000C: "serial number", 0x0011: "priority", 0x0014: "expire after first use", 0x0015: "expire after first store",
	0x0017: "play count", 0x001B: "copy count", 0x0020: "revocation info version", 0x0025: "revocation", 0x0028: "restricted source id",
	0x002B: "generation number", 0x002D: "optimized content key", 0x003C: "copy policy 2", 0x0054: "application ids", 0x0056: "ND transmitter auth",
	0x0057: "ND transmitter auth 2", 0x005C: "secure stop 2", 0x005D: "optimized content key 2",
}

// specOf returns what is known of a type, and false if it is not known even by name.
func specOf(t Type) (spec, bool) {
	if s, ok := specs[t]; ok {
		return s, true
	}
	if name, ok := others[t]; ok {
		return spec{name: name, kind: nameOnly}, true
	}
	if t >= 0x0042 && t <= 0x004F {
		return spec{name: fmt.Sprintf("extensible policy 0x%04x", uint16(t)), kind: nameOnly}, true
	}
	return spec{}, false
}

// String returns the name, or the number of a type without one.
func (t Type) String() string {
	if s, ok := specOf(t); ok {
		return s.name
	}
	return fmt.Sprintf("object 0x%04x", uint16(t))
}
