package pssh

import (
	"strings"

	"keyflow/drm"
)

// The SystemIDs that keyflow acts on (sheet widevine.md §3.2). They are never assigned to.
var (
	WidevineSystemID  = drm.SystemID{0xed, 0xef, 0x8b, 0xa9, 0x79, 0xd6, 0x4a, 0xce, 0xa3, 0xc8, 0x27, 0xdc, 0xd5, 0x1d, 0x21, 0xed}
	PlayReadySystemID = drm.SystemID{0x9a, 0x04, 0xf0, 0x79, 0x98, 0x40, 0x42, 0x86, 0xab, 0x92, 0xe6, 0x5b, 0xe0, 0x88, 0x5f, 0x95}
	// CommonSystemID is the W3C's: a version 1 box that holds KIDs for any system, and no Data.
	CommonSystemID = drm.SystemID{0x10, 0x77, 0xef, 0xec, 0xc0, 0xb2, 0x4d, 0x02, 0xac, 0xe3, 0x3c, 0x1e, 0x52, 0xe2, 0xfb, 0x4b}
)

// systemNames maps SystemIDs to names: sheet widevine.md §3.2, the rest after the DASH Industry Forum's public list of
// content protection identifiers. It is never written to.
var systemNames = map[string]string{
	"edef8ba9-79d6-4ace-a3c8-27dcd51d21ed": "Widevine",
	"9a04f079-9840-4286-ab92-e65be0885f95": "PlayReady",
	"1077efec-c0b2-4d02-ace3-3c1e52e2fb4b": "W3C common",
	"e2719d58-a985-b3c9-781a-b030af78d30e": "ClearKey",
	"94ce86fb-07ff-4f43-adb8-93d2fa968ca2": "FairPlay",
	"279fe473-512c-48fe-ade8-d176fee6b40f": "Arris Titanium",
	"35bf197b-530e-42d7-8b65-1b4bf415070f": "DivX DRM Series 5",
	"37c33258-7b99-4c7e-b15d-19af74482154": "Commscope Titanium V3",
	"3d5e6d35-9b9a-41e8-b843-dd3c6e72c42c": "ChinaDRM",
	"3ea8778f-7742-4bf9-b18b-e834b2acbd47": "ClearKey AES-128",
	"45d481cb-8fe0-49c0-ada9-ab2d2455b2f2": "CoreCrypt",
	"5e629af5-38da-4063-8977-97ffbd9902d4": "Marlin",
	"616c7469-6361-7374-2d50-726f74656374": "Alticast",
	"644fe7b5-260f-4fad-949a-0762ffb054b4": "CMLA (OMA DRM)",
	"6a99532d-869f-5922-9a91-113ab7b1e2f3": "MobiTV DRM",
	"80a6be7e-1448-4c37-9e70-d5aebe04c8d2": "Irdeto",
	"992c46e6-c437-4899-b6a0-50fa91ad0e39": "SecureMedia SteelKnot",
	"9a27dd82-fde2-4725-8cbc-4234aa06ec09": "Verimatrix VCAS",
	"a68129d3-575b-4f1a-9cba-3223846cf7c3": "VideoGuard",
	"aa11967f-cc01-4a4a-8e99-c5d3dddfea2d": "Unitend DRM",
	"adb41c24-2dbf-4a6d-958b-4457c0d27b95": "Nagra MediaAccess PRM 3.0",
	"b4413586-c58c-ffb0-94a5-d4896c1af6c3": "Viaccess-Orca DRM",
	"be58615b-19c4-4684-88b3-c8c57e99e957": "ClearKey SAMPLE-AES",
	"dcf4e3e3-62f1-5818-7ba6-0a6fe33ff3dd": "DigiCAP SmartXess",
	"f239e769-efa3-4850-9c16-a903c6932efb": "Adobe Primetime DRM",
}

// SystemName returns the name of a DRM system, "" if it is not known.
func SystemName(id drm.SystemID) string { return systemNames[id.String()] }

// IDOf returns the SystemID of a system that keyflow has a platform for, the zero SystemID for any other.
func IDOf(s drm.System) drm.SystemID {
	switch s {
	case drm.Widevine:
		return WidevineSystemID
	case drm.PlayReady:
		return PlayReadySystemID
	}
	return drm.SystemID{}
}

// SystemOf returns the system that keyflow has a platform for whose boxes bear the SystemID.
func SystemOf(id drm.SystemID) (drm.System, bool) {
	switch id {
	case WidevineSystemID:
		return drm.Widevine, true
	case PlayReadySystemID:
		return drm.PlayReady, true
	}
	return "", false
}

// label names a system for messages: its name, or its SystemID.
func label(id drm.SystemID) string {
	if name := SystemName(id); name != "" {
		return name
	}
	return "system " + id.String()
}

// systemOfURN reads the urn:uuid form of a SystemID, which names the DRM system of an MPD's ContentProtection.
func systemOfURN(uri string) (drm.SystemID, bool) {
	const prefix = "urn:uuid:"
	if len(uri) < len(prefix) || !strings.EqualFold(uri[:len(prefix)], prefix) {
		return drm.SystemID{}, false
	}
	id, err := drm.ParseKID(uri[len(prefix):])
	return drm.SystemID(id), err == nil
}
