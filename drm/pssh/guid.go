package pssh

import "keyflow/drm"

// GUID returns a KID's bytes in the order of a GUID in memory, which PlayReady headers and licenses use: the first 4, the next
// 2 and the next 2 bytes are reversed (sheet playready.md §1).
func GUID(k drm.KID) [16]byte {
	return [16]byte{k[3], k[2], k[1], k[0], k[5], k[4], k[7], k[6], k[8], k[9], k[10], k[11], k[12], k[13], k[14], k[15]}
}

// KIDOfGUID undoes [GUID].
func KIDOfGUID(b [16]byte) drm.KID { return GUID(b) }
