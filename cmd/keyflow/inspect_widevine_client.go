package main

import (
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"keyflow/drm/secret"
	"keyflow/drm/widevine/chain"
	"keyflow/drm/widevine/ladder"
	"keyflow/drm/widevine/wire"
)

// clientView tells a client identification, and returns the key that its device signs with, nil if it has none that can be used.
func (v *inspectedMessage) clientView(c *wire.ClientIdentification) (*inspectedClient, *rsa.PublicKey) {
	view := &inspectedClient{
		Type: enumStated(c.Type), Token: len(c.GetToken()), ClientToken: len(c.GetProviderClientToken()), Counter: c.LicenseCounter,
	}
	for _, i := range c.GetClientInfo()[:min(len(c.GetClientInfo()), maxListed)] {
		view.Info = append(view.Info, inspectedField{Name: i.GetName(), Value: i.GetValue()})
	}
	if c.ClientCapabilities != nil {
		view.Capabilities = capabilitiesView(c.GetClientCapabilities())
	}
	if c.VmpData != nil {
		view.VMP = v.vmpView(c.GetVmpData())
	}
	for _, d := range c.GetDeviceCredentials()[:min(len(c.GetDeviceCredentials()), maxListed)] {
		kind := enumStated(d.Type)
		if kind == "" {
			kind = "no type"
		}
		view.Credentials = append(view.Credentials, fmt.Sprintf("%s, %d bytes", kind, len(d.GetToken())))
	}
	if c.GetType() != wire.ClientIdentification_DRM_DEVICE_CERTIFICATE || len(c.GetToken()) == 0 {
		return view, nil
	}
	signed := new(wire.SignedDrmCertificate)
	v.problemIn("ClientIdentification.token", readProto(c.GetToken(), signed))
	var key *rsa.PublicKey
	view.Chain, key = v.chainView("token", signed)
	return view, key
}

func capabilitiesView(c *wire.ClientIdentification_ClientCapabilities) *inspectedCapabilities {
	return &inspectedCapabilities{
		ClientToken: c.ClientToken, SessionToken: c.SessionToken, Resolution: c.VideoResolutionConstraints, MaxHDCP: enumStated(c.MaxHdcpVersion),
		API: c.OemCryptoApiVersion, AntiRollback: c.AntiRollbackUsageTable, SRM: c.SrmVersion, UpdatesSRM: c.CanUpdateSrm,
		CertificateKeys: enumTexts(c.GetSupportedCertificateKeyType()), Analog: enumStated(c.AnalogOutputCapabilities),
		DisablesAnalog: c.CanDisableAnalogOutput, ResourceTier: c.ResourceRatingTier,
	}
}

// vmpView tells the hashes of a browser's files (sheet widevine.md §4.13).
func (v *inspectedMessage) vmpView(data []byte) *inspectedVMP {
	hashes := new(wire.FileHashes)
	if err := readProto(data, hashes); err != nil {
		v.note("vmp_data is no FileHashes: %v", err)
	}
	v.Widevine.unknown("FileHashes", hashes.ProtoReflect())
	view := &inspectedVMP{Bytes: len(data), Signer: len(hashes.GetSigner())}
	for _, f := range hashes.GetSignatures()[:min(len(hashes.GetSignatures()), maxListed)] {
		view.Files = append(view.Files, inspectedBinary{f.GetFilename(), f.GetMainExe(), f.GetTestSigning(), len(f.GetSha512Hash()), len(f.GetSignature())})
	}
	return view
}

// maxChain is how many certificates of a chain are shown; a device's has two below the root (sheet widevine.md §5.3).
const maxChain = 8

// chainView tells a certificate and those that signed it, and returns the first one's key, nil if it cannot be used.
func (v *inspectedMessage) chainView(part string, signed *wire.SignedDrmCertificate) ([]inspectedCert, *rsa.PublicKey) {
	var views []inspectedCert
	var first *rsa.PublicKey
	var below *wire.SignedDrmCertificate // signed by this one
	for n := 0; signed != nil; n, below, signed = n+1, signed, signed.GetSigner() {
		if n == maxChain {
			v.note("%s has more than %d certificates in a row", part, maxChain)
			break
		}
		view, key := v.certificateView(fmt.Sprintf("%s.certificate[%d]", part, n), signed)
		if n == 0 {
			first = key
		}
		if below != nil && key != nil && v.err == nil { // of what is not whole it is not known
			views[n-1].verify(below, []namedRoot{{"the certificate after it", key}})
		}
		if signed.GetSigner() == nil && v.err == nil {
			view.verify(signed, v.roots)
		}
		views = append(views, view)
	}
	return views, first
}

// verify tells whether a certificate's signature is by one of the keys.
func (c *inspectedCert) verify(signed *wire.SignedDrmCertificate, keys []namedRoot) {
	tried := ""
	for _, k := range keys {
		if ladder.Verify(k.key, signed.GetDrmCertificate(), signed.GetSignature()) == nil {
			right := true
			c.SignatureVerifies, c.Under = &right, k.name
			return
		}
		if tried != "" {
			tried += " or "
		}
		tried += k.name
	}
	wrong := false
	c.SignatureVerifies, c.Under = &wrong, tried
}

func (v *inspectedMessage) certificateView(part string, signed *wire.SignedDrmCertificate) (inspectedCert, *rsa.PublicKey) {
	raw, c := signed.GetDrmCertificate(), new(wire.DrmCertificate)
	v.problemIn(part, readProto(raw, c))
	v.Widevine.unknown(part+".drm_certificate", c.ProtoReflect())
	v.Widevine.unknown(part, signed.ProtoReflect())
	view := inspectedCert{
		Type: enumStated(c.Type), SerialFingerprint: serialFingerprint(c.GetSerialNumber()), Created: timeView(c.CreationTimeSeconds),
		Expires: timeView(c.ExpirationTimeSeconds), SystemID: c.SystemId, TestDevice: c.GetTestDeviceDeprecated(), Provider: c.GetProviderId(),
		Services: enumTexts(c.GetServiceTypes()), RootOfTrust: len(c.GetRotId()), Signature: len(signed.GetSignature()), Hash: enumStated(signed.HashAlgorithm),
		Bytes: len(raw), Fingerprint: secret.FingerprintOf(raw),
	}
	if t := c.GetType(); c.Type != nil && (t == wire.DrmCertificate_SERVICE || t == wire.DrmCertificate_ROOT || t == wire.DrmCertificate_PROVISIONER) {
		view.Serial = serialText(c.GetSerialNumber())
	}
	var key *rsa.PublicKey
	if c.PublicKey != nil {
		view.Key, key = keyView(c.GetPublicKey(), enumStated(c.Algorithm))
	}
	if e := c.GetEncryptionKey(); e != nil {
		view.EncryptionKey, _ = keyView(e.GetPublicKey(), enumStated(e.Algorithm))
	}
	return view, key
}

// maxKeyBits bounds the keys that signatures are verified with: a stranger's key may be so long that it takes minutes.
const maxKeyBits = 8192

// keyView tells a public key, and returns it if signatures can be verified with it.
func keyView(der []byte, algorithm string) (*inspectedKeyInfo, *rsa.PublicKey) {
	view := &inspectedKeyInfo{Algorithm: algorithm, Bytes: len(der), Fingerprint: secret.FingerprintOf(der)}
	key, err := x509.ParsePKCS1PublicKey(der)
	if err != nil {
		return view, nil
	}
	if view.Bits = key.N.BitLen(); view.Bits > maxKeyBits {
		return view, nil
	}
	return view, key
}

// readServiceCertificate tells a service certificate: data is all that came, token the certificate in it.
func (v *inspectedMessage) readServiceCertificate(data, token []byte) {
	signed := new(wire.SignedDrmCertificate)
	v.problemIn("SignedDrmCertificate", readProto(token, signed))
	if len(token) == 0 {
		v.problemIn("SignedDrmCertificate", errNoMessage)
		return
	}
	view := &inspectedServiceCert{}
	v.Widevine.Certificate = view
	view.Chain, _ = v.chainView("certificate", signed)
	service, err := chain.ParseServiceCertificate(data)
	if err != nil {
		v.problemIn("service certificate", err)
		return
	}
	view.Form = map[chain.Form]string{
		chain.FormMessage: "in a SignedMessage", chain.FormBare: "bare", chain.FormCopies: "in identical SignedMessages one after another",
	}[service.Form]
	c := new(wire.DrmCertificate)
	if readProto(signed.GetDrmCertificate(), c) == nil && v.Kind == kindWVBare && c.GetType() == wire.DrmCertificate_SERVICE {
		v.Kind = kindWVCertificate
	}
	if v.Kind != kindWVCertificate {
		return
	}
	if len(view.Chain) > 0 && signed.Signer != nil && v.err == nil { // the root must have signed it, whoever it names (sheet widevine.md §5.3)
		view.Chain[0].verify(signed, v.roots)
	}
	_, errs := service.Verify(v.roots[0].key, time.Now())
	for _, err := range errs {
		if !errors.Is(err, chain.ErrSignature) { // told already
			v.note("%v", err)
		}
	}
}
