package fakes_test

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"

	"keyflow/drm"
	"keyflow/drm/playready"
	"keyflow/drm/playready/ecc"
	"keyflow/drm/playready/soap"
	"keyflow/drm/playready/xmr"
	"keyflow/drm/secret"
	"keyflow/fakes"
)

// The vectors of sheet playready.md that make up §13.11, hexadecimal or base64.
const (
	vectorServer     = "7ab98ff00e29d7df8c5ac7073353fb39498ff4b3cdd05a75a2a3d708223e9748" // §13.5, scalar
	vectorSessionKey = "XHpnhl5i7KhzN96GTyMLISyLzpktvu/EX3W02XNiJJ38YH2Qlql46yVXI6Bd5d0o3VQBkhunGJv5g9zO0dhDVhP+h2HhAmgR5OluSMElFBLQgL468dU3/gKIOSAwXYZO" +
		"Hyf9fh14LiT4OU5cR8Likv8ITnEfcizRd00hEUouaxI=" // §13.5
	vectorRoot = "58105e4806489b6f196469ffa90a1f0d2cc54bccd742333472331d3df87b787de4ce96e882a22949f73e7bbf58b200c23e1007b5fba511a8bf3fcc5aa6b65e4b" // §13.9
	vectorSign = "557f70e0af51b0c30b3f17f8babe19d935bb362b9d6bff1809a4ca97e026596c"                                                                 // §13.9, scalar
	vectorOpen = "ad3fcfc71cee9c24b26acb6731869e26ea953a4fc3ce32775d5da25b11fb3621"                                                                 // §13.6, scalar
	vectorSig  = "Fq1Dis8rW9sfwMZESB6tJLRnAUGaKwxowPQKUx1CvDuMjO1Rxhose7wYm0f34vWTVgm/rK9U2GOA8FXl/RMKrw=="
	// vectorChain is the device's, §13.9.
	vectorChain = "Q0hBSQAAAAEAAAOcAAAAAAAAAAJDRVJUAAAAAQAAAfwAAAFsAAEAAQAAAFgiIiIiIiIiIiIiIiIiIiIiAAAAlgAAAAAAAAACZ2U/89tC5fHShTqmmLfuXKjJ" +
		"Pga44VXVfPncGPJ+qJD/////MzMzMzMzMzMzMzMzMzMzMwABAAQAAAAUAAAoAAAAPAAAAAACAAEABQAAABgAAAADAAAABAAAAAkAAAANAAEABgAAAKwAAAAC" +
		"AAECAAAAAAAPfLAc2i9f5Fo9ffv9uomixXsnIjQW2kbU3hdAQxxWRHHZYajCSmWso7sCuyt28AAWECU5TbnP5OwDahpK0DY9AAAAAQAAAAEAAQIAAAAAABK4" +
		"5fr6O37YJxWEgHQG5he30TjBF+kMiC14ylCr57/zqK2x08kpXXZy0GHBADKFK5pUgiN2gkEH2g8+SW3U5isAAAABAAAAAgAAAAcAAAAsAAAAAAAAAAhIYXJu" +
		"ZXNzAAAAAAdDbGllbnQAAAAAAAIxAAAAAAEACAAAAJAAAQBAUMtY3p5iaOBHOlHAJdvXmH9WI4qN76QP+dLQfHRoEcaJ0fBETKaLlgINLBsCi4H8vxCpgvJn" +
		"Lba0x8EHH/Dj9AAAAgA9R1mDGoQ7HtvuFWXKrZH2T3zfXWLW8oGyYw7Nk8/Llvl3x3hYZAZknfkkPWhc72oFPKfQTv/yQjeWXHpEPRc0Q0VSVAAAAAEAAAGM" +
		"AAAA/AABAAEAAABYEREREREREREREREREREREQAAAJYAAAAAAAAABKF5HuNhvWuX1i1MIEkeLaGUweHBiWUTMPY+X9POaoqX/////wAAAAAAAAAAAAAAAAAA" +
		"AAAAAQAFAAAADAAAAAAAAQAGAAAAXAAAAAEAAQIAAAAAAD1HWYMahDse2+4VZcqtkfZPfN9dYtbygbJjDs2Tz8uW+XfHeFhkBmSd+SQ9aFzvagU8p9BO//JC" +
		"N5ZcekQ9FzQAAAABAAAABgAAAAcAAAAsAAAAAAAAAAhIYXJuZXNzAAAAAAdJc3N1ZXIAAAAAAAIxAAAAAAEACAAAAJAAAQBAffPB1msoKzKyR3lZOw4nWlQD" +
		"dXYdH09+n4UVayPFy/fnWTQ1QEXOkLDIb+UWZBgzCZEeCkIBsOZNm0nEQbaUWgAAAgBYEF5IBkibbxlkaf+pCh8NLMVLzNdCMzRyMx09+Ht4feTOluiCoilJ" +
		"9z57v1iyAMI+EAe1+6URqL8/zFqmtl5L"
)

func unb64(t testing.TB, text string) []byte {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(text)
	must(t, err)
	return b
}

func scalar(t testing.TB, text string) ecc.PrivateKey {
	t.Helper()
	k, err := ecc.NewPrivateKey(unhex(t, text))
	must(t, err)
	return k
}

// vectorRequest is the challenge of sheet playready.md §13.11.
func vectorRequest(t testing.TB, device playready.Identity) prRequest {
	t.Helper()
	x, err := scalar(t, vectorServer).Decrypt(unb64(t, vectorSessionKey))
	must(t, err)
	session, err := soap.NewSessionKey(x)
	must(t, err)
	encrypted, err := session.Encrypt(soap.ClientData(device.Chain().Raw))
	must(t, err)
	la := soap.LA{
		Version: "1", Header: header40(vectorKID, ""), ClientVersion: "10.0.16384.10011", CustomData: secret.New([]byte(`a & b <c> "d"`)),
		Nonce: "AAECAwQFBgcICQoLDA0ODw==", ClientTime: "1700000000", KeyName: "WMRMServer",
		EncryptedKey: unb64(t, vectorSessionKey), EncryptedData: encrypted,
	}.Text()
	digest := soap.Digest(la)
	if got := b64(digest); got != "BNHJ7G4ZXfK3uxrgG8B9cZQzoixBKQvgisslekCIMs0=" || len(la) != 3306 {
		t.Fatalf("LA of %d bytes with the digest %s: not the sheet's", len(la), got)
	}
	public := device.SigningKey().Public()
	return prRequest{
		device: device, nonce: unb64(t, "AAECAwQFBgcICQoLDA0ODw=="), header: prAsk{}.make(t).header,
		body: string(soap.ChallengeBody(la, soap.SignedInfo(digest), unb64(t, vectorSig), public[:])),
	}
}

var vectorKID = drm.KID{0x08, 0x72, 0x78, 0x6e, 0xf9, 0xe7, 0x46, 0x5f, 0xa3, 0xa2, 0x4e, 0x5b, 0x0e, 0xf8, 0xfa, 0x45}

// TestPlayReadyVector asks with sheet playready.md §13.11, whose every byte is the sheet's: the license opens with the key of
// §13.6. One character changed, and there is none.
func TestPlayReadyVector(t *testing.T) {
	t.Parallel()
	device, err := playready.NewIdentity(unb64(t, vectorChain), scalar(t, vectorSign), scalar(t, vectorOpen))
	must(t, err)
	own := secret.New([]byte("0123456789abcdef"))
	s := startPlayReady(t, fakes.Options{
		Authority: authority(t, trusted).WithPlayReadyServerKey(scalar(t, vectorServer)),
		Keys:      map[drm.KID]secret.Bytes{vectorKID: own},
		Tracks:    map[drm.KID]fakes.Track{vectorKID: {PlayReady: fakes.PlayReadyTrack{SecurityLevel: 150}}}, // the device's
	})
	r := vectorRequest(t, device)
	if answer := r.direct(s); answer.status != http.StatusInternalServerError || lastRecord(t, s).Reason != "certificate-chain" {
		t.Errorf("under another root: status %d, %q", answer.status, lastRecord(t, s).Reason)
	}
	s.TrustPlayReadyRoot(ecc.PublicKey(unhex(t, vectorRoot)))
	o, err := openPlayReady(r, r.direct(s).body)
	must(t, err)
	if len(o.licenses) != 1 {
		t.Fatalf("%d licenses", len(o.licenses))
	}
	l := o.licenses[0]
	isTrue(t, l.KID == vectorKID && l.content.Equal(own) && sameBytes(l.RightsID, r.nonce) && l.KeyType == xmr.KeyAESCTR)
	if got := lastRecord(t, s); got.Device != device.Device() || got.RequestID != "000102030405060708090a0b0c0d0e0f" {
		t.Errorf("history: %+v", got)
	}
	for _, change := range []struct{ from, to string }{
		{"bnhyCOf5X0ajok5bDvj6RQ==", "bnhyCOf5X0ajok5bDvj6RA=="}, {"AAECAwQF", "AAECAwQG"}, {"a &amp; b", "a &amp; c"}, {"1700000000", "1700000001"},
		{"CIMs0=<", "CIMs1=<"}, {"Fq1Dis8r", "Fq1Dis8s"},
	} {
		altered := r
		altered.body = strings.Replace(r.body, change.from, change.to, 1)
		if answer := altered.direct(s); altered.body == r.body || answer.status != http.StatusInternalServerError {
			t.Errorf("%q for %q: status %d", change.to, change.from, answer.status)
		}
	}
}
