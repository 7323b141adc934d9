package fakes

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"google.golang.org/protobuf/proto"

	"keyflow/drm"
	"keyflow/drm/secret"
	"keyflow/drm/widevine/wire"
)

// The functions of this file spoil a license before it is sealed, each in one way.

// answerAnotherRequest seals the license for a request that the device never sent: the same content under another
// request_id. To the client it is what a server sends that mixes up two answers.
func answerAnotherRequest(_ *exchange, g *grant, _ *drm.KID) bool {
	request := new(wire.LicenseRequest)
	if proto.Unmarshal(g.request, request) != nil {
		return false
	}
	content := request.GetContentId().GetWidevinePsshData()
	if content == nil {
		return false
	}
	content.RequestId = random(max(len(content.GetRequestId()), 16))
	other, err := proto.Marshal(request)
	if err != nil {
		return false
	}
	g.request, g.requestID = other, content.RequestId
	return true
}

func constantRequestID(x *exchange, g *grant, _ *drm.KID) bool {
	constant := x.server.faultBytes("request id")
	acted := !bytes.Equal(g.requestID, constant)
	g.requestID = constant
	return acted
}

func startInMilliseconds(_ *exchange, g *grant, _ *drm.KID) bool {
	g.start *= 1000
	return true
}

func dropCanPlay(_ *exchange, g *grant, _ *drm.KID) bool {
	acted := g.policy.GetCanPlay()
	g.policy.CanPlay = nil
	return acted
}

func demandHDCP(_ *exchange, g *grant, scope *drm.KID) bool {
	return eachKey(g, scope, func(k *grantedKey) { k.hdcp = wire.HDCP_HDCP_V2 })
}

func sevenSeconds(_ *exchange, g *grant, _ *drm.KID) bool {
	g.policy.LicenseDurationSeconds, g.policy.PlaybackDurationSeconds = proto.Int64(7), proto.Int64(7)
	return true
}

func invertPersistence(_ *exchange, g *grant, _ *drm.KID) bool {
	g.policy.CanPersist = proto.Bool(!g.policy.GetCanPersist())
	return true
}

// eachKey calls alter for the keys in scope and reports whether it did for any.
func eachKey(g *grant, scope *drm.KID, alter func(*grantedKey)) bool {
	acted := false
	for i := range g.keys {
		if scope == nil || g.keys[i].kid == *scope {
			alter(&g.keys[i])
			acted = true
		}
	}
	return acted
}

// indexOf returns where the scope's key is, the first key without a scope, and -1 if there is none.
func (g *grant) indexOf(scope *drm.KID) int {
	for i, k := range g.keys {
		if scope == nil || k.kid == *scope {
			return i
		}
	}
	return -1
}

func randomKeys(x *exchange, g *grant, scope *drm.KID) bool {
	return eachKey(g, scope, func(k *grantedKey) {
		k.key = secret.New(x.server.faultBytes(fmt.Sprintf("key %s of request %d", k.kid, x.record.N)))
	})
}

func swapKeys(_ *exchange, g *grant, scope *drm.KID) bool {
	i := g.indexOf(scope)
	for j := range g.keys {
		if i >= 0 && !g.keys[i].key.Equal(g.keys[j].key) {
			g.keys[i].key, g.keys[j].key = g.keys[j].key, g.keys[i].key
			return true
		}
	}
	return false
}

func dropLastKey(_ *exchange, g *grant, _ *drm.KID) bool {
	if len(g.keys) == 0 {
		return false
	}
	g.keys = g.keys[:len(g.keys)-1]
	return true
}

func repeatKID(x *exchange, g *grant, scope *drm.KID) bool {
	i := g.indexOf(scope)
	if i < 0 {
		return false
	}
	second := g.keys[i]
	second.iv = random(ivLen)
	second.key = secret.New(x.server.faultBytes("second key " + second.kid.String()))
	g.keys = append(g.keys, second)
	return true
}

func littleEndianKIDs(_ *exchange, g *grant, scope *drm.KID) bool {
	acted := false
	eachKey(g, scope, func(k *grantedKey) {
		guid := littleEndian(k.kid)
		acted = acted || guid != k.kid
		k.id = guid[:]
	})
	return acted
}

// littleEndian returns the KID in the byte order of a GUID: its first three fields are little-endian.
func littleEndian(kid drm.KID) drm.KID {
	binary.LittleEndian.PutUint32(kid[:4], binary.BigEndian.Uint32(kid[:4]))
	binary.LittleEndian.PutUint16(kid[4:6], binary.BigEndian.Uint16(kid[4:6]))
	binary.LittleEndian.PutUint16(kid[6:8], binary.BigEndian.Uint16(kid[6:8]))
	return kid
}

func zeroPadding(_ *exchange, g *grant, scope *drm.KID) bool {
	return eachKey(g, scope, func(k *grantedKey) { k.zeroPadded = true })
}

func constantIV(x *exchange, g *grant, scope *drm.KID) bool {
	return eachKey(g, scope, func(k *grantedKey) { k.iv = x.server.faultBytes("iv") })
}

func constantSessionKey(x *exchange, g *grant, _ *drm.KID) bool {
	g.sessionKey = secret.New(x.server.faultBytes("session key"))
	return true
}

func wrapWithSHA256(_ *exchange, g *grant, _ *drm.KID) bool {
	g.oaepSHA256 = true
	return true
}

func signWithClientKey(_ *exchange, g *grant, _ *drm.KID) bool {
	g.clientMAC = true
	return true
}

func wrongType(_ *exchange, g *grant, _ *drm.KID) bool {
	g.envelope = wire.SignedMessage_SERVICE_CERTIFICATE
	return true
}
