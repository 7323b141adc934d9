package main

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"keyflow/drm"
	"keyflow/drm/pssh"
	"keyflow/drm/secret"
	"keyflow/drm/widevine"
	"keyflow/drm/widevine/wire"
	"keyflow/fakes"
	"keyflow/reports"
)

const octets = "application/octet-stream"

// widevineTalk is what went to and fro between the harness's Widevine platform and a fake, in the clear and in privacy mode.
type widevineTalk struct {
	request, private, license, certificate, bare []byte
	authority                                    string // folder
	vault                                        *secret.Vault
}

var talkKID = drm.KID{0: 0xab, 3: 1, 9: 7, 15: 1}

func talkWidevine(t testing.TB) widevineTalk {
	t.Helper()
	key := secret.New([]byte{9, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 0xfe})
	c := widevineTalk{vault: secret.NewVault(), authority: filepath.Join(t.TempDir(), "authority")}
	c.vault.Add("content key", key)
	fake, err := fakes.Start(t.Context(), fakes.Options{Keys: map[drm.KID]secret.Bytes{talkKID: key}})
	if err != nil {
		t.Fatal(err)
	}
	fake.AddTo(c.vault)
	if err := fake.Export(c.authority); err != nil {
		t.Fatal(err)
	}
	box := pssh.Box{SystemID: pssh.IDOf(drm.Widevine), Data: append([]byte{0x12, 16}, talkKID[:]...)} // field 2, a KID
	authority := fake.Authority()
	var p drm.Platform = widevine.NewPlatform(authority.Devices()[0], drm.SystemClock).WithRoot(authority.RootKey())
	ask := func(kind drm.Kind) []byte {
		session, err := p.Open(t.Context(), box, drm.Options{})
		if err != nil {
			t.Fatal(err)
		}
		m, err := session.Request(t.Context(), kind)
		if err != nil {
			t.Fatal(err)
		}
		return m.Body
	}
	c.request = ask(drm.KindLicense)
	c.license = post(t, fake.LicenseURL(), octets, c.request)
	c.certificate = post(t, fake.LicenseURL(), octets, ask(drm.KindCertificate))
	if p, err = p.WithServerCertificate(t.Context(), c.certificate); err != nil {
		t.Fatal(err)
	}
	c.private, c.bare = ask(drm.KindLicense), authority.ServiceCertificate()
	return c
}

func serialized(t testing.TB, m proto.Message) []byte {
	t.Helper()
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestInspectWidevine shows what a platform and a fake say to each other, in every form that it is found in.
func TestInspectWidevine(t *testing.T) {
	t.Parallel()
	c, dir := talkWidevine(t), t.TempDir()
	request := []string{
		`message type +1 .LICENSE_REQUEST.`, "key_id +" + talkKID.String(), `request type +1 .NEW.`, `request id +[0-9a-f]{32}`, `client +in the clear`,
		`client info +company_name: Harness`, `VMP data +none`, `certificate 2, [0-9]+ bytes`, `type +1 .DEVICE_MODEL.`, `system id +900001`,
		`public key +RSA, 2048 bits, 270 bytes, fingerprint [0-9a-f]{16}\n`, `verifies under the certificate after it`, `verifies under the authority's root`,
		`request signature +verifies under the device's key, over msg`, `nonce +yes`,
	}
	license := []string{
		`message type +2 .LICENSE.`, `session key +256 bytes, fingerprint`, `can play +yes`, `license duration +7200 s .2 hours.`, "KID +" + talkKID.String(),
		`wrapped key +32 bytes, fingerprint [0-9a-f]{16}, as long as a key of 16 bytes with padding`,
	}
	certificate := []string{`type +3 .SERVICE.`, `provider id +fake.harness.test`, `serial number +[0-9a-f]{32}, fingerprint`, `verifies under the authority's root`}
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	envelope := new(wire.SignedMessage)
	if err := proto.Unmarshal(c.request, envelope); err != nil {
		t.Fatal(err)
	}
	envelope.Signature[7] ^= 1
	asked := new(wire.LicenseRequest)
	if err := proto.Unmarshal(envelope.GetMsg(), asked); err != nil {
		t.Fatal(err)
	}
	for name, x := range map[string]struct {
		data  []byte
		kind  string
		want  []string
		never string
	}{
		"request":               {c.request, kindWVRequest, request, "problem|note"},
		"request, base64":       {[]byte(base64.URLEncoding.EncodeToString(c.request) + "\n"), kindWVRequest, append(request, "in +base64\n"), ""},
		"without its type":      {c.request[2:], kindWVRequest, append(request[1:], `message type +not stated, reads as 1`), ""},
		"client by itself":      {serialized(t, asked.GetClientId()), kindWVClient, []string{`token type +1 .DRM_DEVICE_CERTIFICATE.`, `client info +company_name: Harness`, `certificate 2, [0-9]+ bytes`, `verifies under the authority's root`}, "problem|message type|request type"},
		"privacy mode":          {c.private, kindWVRequest, []string{`client +encrypted`, `provider id +fake.harness.test`, `privacy key +256 bytes`}, "company_name|signature +verifies|problem"},
		"a signature's bit":     {serialized(t, envelope), kindWVRequest, []string{`request signature +does not verify`}, ""},
		"license":               {c.license, kindWVLicense, license, "problem|remark|note"},
		"license in JSON":       {fmt.Appendf(nil, `{"a":[{"license":%q}]}`, base64.StdEncoding.EncodeToString(c.license)), kindWVLicense, append(license, `in +JSON \$.a\[0\].license, base64`), ""},
		"certificate":           {c.certificate, kindWVCertificate, append(certificate, "form +in a SignedMessage"), "note|problem"},
		"certificate, bare":     {c.bare, kindWVCertificate, append(certificate, "form +bare"), "note|problem|message type"},
		"certificate, twice":    {append(bytes.Clone(c.certificate), c.certificate...), kindWVCertificate, append(certificate, "form +in identical"), ""},
		"certificate, foreign":  {service(t, other, nil), kindWVCertificate, []string{`does not verify under the vendor's root or the authority's root`}, ""},
		"certificate of a PC":   {service(t, other, func(c *wire.DrmCertificate) { c.Type = wire.DrmCertificate_DEVICE.Enum() }), kindWVCertificate, []string{`note: type 2 .DEVICE.: certificate type is wrong`}, `serial number +[0-9a-f]{32}`},
		"expired":               {service(t, other, func(c *wire.DrmCertificate) { c.ExpirationTimeSeconds = proto.Uint32(5) }), kindWVCertificate, []string{`note: expired 1970`, `expires +5 .1970-01-01T00:00:05Z.`}, ""},
		"a key that is endless": {service(t, longKey(), nil), kindWVCertificate, []string{`public key +RSA, 1000[0-9]{2} bits`}, ""},
	} {
		stdout, stderr, code := inspectFile(t, dir, x.data, "--authority", c.authority)
		if code != 0 || stderr != "" || !strings.HasPrefix(stdout, "FILE: "+x.kind+", ") {
			t.Errorf("%s: exit %d, %s%s", name, code, stderr, stdout)
		}
		for _, want := range x.want {
			if !regexp.MustCompile(want).MatchString(stdout) {
				t.Errorf("%s: want %q in\n%s", name, want, stdout)
			}
		}
		if x.never != "" && regexp.MustCompile(x.never).MatchString(stdout) {
			t.Errorf("%s: %q is in\n%s", name, x.never, stdout)
		}
		asJSON, _, code := inspectFile(t, dir, x.data, "--json")
		var v struct {
			Kind     string
			Widevine map[string]json.RawMessage
		}
		if err := json.Unmarshal([]byte(asJSON), &v); err != nil || v.Kind != x.kind || code != 0 || len(v.Widevine) == 0 {
			t.Errorf("%s: exit %d, %v\n%s", name, code, err, asJSON)
		}
		if names := c.vault.Names([]byte(stdout + asJSON)); names != nil {
			t.Errorf("%s: gives away %v", name, names)
		}
	}
}

// longKey is a public key with which it takes minutes to verify anything.
func longKey() *rsa.PrivateKey {
	n := new(big.Int).Lsh(big.NewInt(1), 100_000)
	return &rsa.PrivateKey{PublicKey: rsa.PublicKey{N: n.Add(n, big.NewInt(1)), E: 1<<31 - 1}}
}

// service is a service certificate of nobody's: its signature is none.
func service(t testing.TB, key *rsa.PrivateKey, change func(*wire.DrmCertificate)) []byte {
	t.Helper()
	fields := &wire.DrmCertificate{
		Type: wire.DrmCertificate_SERVICE.Enum(), SerialNumber: bytes.Repeat([]byte{7}, 16), ProviderId: proto.String("example"),
		CreationTimeSeconds: proto.Uint32(1), PublicKey: x509.MarshalPKCS1PublicKey(&key.PublicKey),
	}
	if change != nil {
		change(fields)
	}
	signed := &wire.SignedDrmCertificate{DrmCertificate: serialized(t, fields), Signature: bytes.Repeat([]byte{3}, 384)}
	return serialized(t, &wire.SignedMessage{Type: wire.SignedMessage_SERVICE_CERTIFICATE.Enum(), Msg: serialized(t, signed)})
}

// TestInspectWidevineSpoiled cuts and changes messages at many places. It never ends in anything but 0 or 2, the latter with a
// hint, and what stands before a cut is shown.
func TestInspectWidevineSpoiled(t *testing.T) {
	t.Parallel()
	c, dir := talkWidevine(t), t.TempDir()
	for _, m := range [][]byte{c.request, c.private, c.license, c.certificate, c.bare} {
		for at := 3; at < len(m); at += 1 + len(m)/100 {
			changed := bytes.Clone(m)
			changed[at] ^= byte(1 << (at % 8))
			for what, data := range map[string][]byte{"cut": m[:at], "changed": changed} {
				stdout, stderr, code := inspectFile(t, dir, data)
				if code != 0 && (code != reports.ExitUsage || !strings.Contains(stderr, "hint: ")) {
					t.Errorf("%s at %d: exit %d, %s", what, at, code, stderr)
				}
				if what == "cut" && m[0] == 8 && !strings.Contains(stdout, "message type") {
					t.Errorf("cut at %d: exit %d\n%s", at, code, stdout)
				}
				if strings.Contains(stdout, "does not verify under the certificate") && what == "cut" {
					t.Errorf("cut at %d: a signature is judged\n%s", at, stdout)
				}
			}
		}
	}
	stdout, stderr, _ := inspectFile(t, dir, c.request[:1000])
	for _, want := range []string{"certificate 2, ", "system id +900001", "problem: SignedMessage: byte 2: field 2 is cut off: it states [0-9]+ bytes, 995 are left"} {
		if !regexp.MustCompile(want).MatchString(stdout) {
			t.Errorf("want %q in\n%s%s", want, stdout, stderr)
		}
	}
}

// TestReadProto: one field that cannot be read costs that field alone, and nothing is read without bounds.
func TestReadProto(t *testing.T) {
	t.Parallel()
	id := serialized(t, &wire.LicenseIdentification{RequestId: []byte("r"), Version: proto.Int32(3)})
	field := func(number protowire.Number, value []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(nil, number, protowire.BytesType), value)
	}
	broken := append(field(1, append(id, 0x0a, 9)), field(6, []byte("token"))...)
	license := new(wire.License)
	err := readProto(broken, license)
	if err == nil || err.Error() != "byte 0: field 1: byte 5: field 1 is cut off: it states 9 bytes, 0 are left" {
		t.Errorf("%v", err)
	}
	if license.GetId().GetVersion() != 3 || string(license.GetProviderClientToken()) != "token" {
		t.Errorf("%v", license)
	}
	for name, b := range map[string][]byte{
		"no tag": {0x07}, "no length": {0x0a, 0xff}, "a cut number": {0x20, 0x80}, "many fields": append(bytes.Repeat([]byte{0x20, 1}, 2*maxProtoFields), 0x0a, 9),
		"a field 0": {0x00, 0x01}, "an open group": {0x0b},
	} {
		if err := readProto(b, new(wire.License)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	chain := []byte{}
	for range 200 {
		chain = field(3, chain)
	}
	v := &inspectedMessage{Widevine: &inspectedWV{}}
	signed := new(wire.SignedDrmCertificate)
	if err := readProto(chain, signed); err != nil {
		t.Fatal(err)
	}
	if views, _ := v.chainView("token", signed); len(views) != maxChain || len(v.Notes) != 1 {
		t.Errorf("%d certificates, %v", len(views), v.Notes)
	}
	unknown := bytes.Repeat([]byte{0xc0, 0x3e, 1}, 1000) // field 1000
	if err := proto.Unmarshal(unknown, license); err != nil {
		t.Fatal(err)
	}
	v.Widevine.unknown("License", license.ProtoReflect())
	if n := len(v.Widevine.Unknown); n != maxUnknownFields || v.Widevine.Unknown[0] != (inspectedUnknown{"License.1000", "varint", 1}) {
		t.Errorf("%d unknown fields, %v", n, v.Widevine.Unknown[0])
	}
}
