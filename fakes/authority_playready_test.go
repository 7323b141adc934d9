package fakes_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"keyflow/drm"
	"keyflow/drm/playready"
	"keyflow/drm/playready/bcert"
	"keyflow/drm/playready/ecc"
	"keyflow/drm/secret"
	"keyflow/fakes"
)

// TestPlayReadyAuthority checks the harness's certificates of sheet playready.md §10, last paragraph.
func TestPlayReadyAuthority(t *testing.T) {
	t.Parallel()
	a := authority(t, trusted)
	devices := a.PlayReadyDevices()
	isTrue(t, len(devices) == len(a.Devices()))
	for _, d := range devices {
		verifyDevice(t, a, d, 2000)
		_, _, err := d.Chain().VerifyDevice(authority(t, foreign).PlayReadyRoot(), time.Now())
		isReason(t, err, bcert.ReasonRoot)
	}
	isTrue(t, devices[0].Device() != devices[1].Device())
	isTrue(t, devices[0].SigningKey().Public() != devices[0].EncryptionKey().Public())
	isTrue(t, devices[0].SigningKey().Public() != devices[1].SigningKey().Public())
	isTrue(t, a.PlayReadyServerKey() != a.PlayReadyRoot() && a.PlayReadyServerKey() != authority(t, foreign).PlayReadyServerKey())
	devices[0] = devices[1] // a copy: the authority's own stay as they are
	isTrue(t, a.PlayReadyDevices()[0].Device() != devices[0].Device())
}

// verifyDevice checks a device's chain, device ← issuer, and that its keys are those that the chain is for.
func verifyDevice(t *testing.T, a *fakes.Authority, d playready.Identity, level int) {
	t.Helper()
	sign, encrypt, err := d.Chain().VerifyDevice(a.PlayReadyRoot(), time.Now())
	must(t, err)
	signature, err := d.SigningKey().Sign([]byte("request"))
	isTrue(t, err == nil && sign.Verify([]byte("request"), signature))
	session, err := ecc.GenerateKey()
	must(t, err)
	ciphertext, x, err := encrypt.EncryptKey(session)
	must(t, err)
	got, err := d.EncryptionKey().Decrypt(ciphertext)
	isTrue(t, err == nil && got.Equal(x))

	isTrue(t, len(d.Chain().Certificates) == 2 && d.SecurityLevel() == level)
	leaf, issuer := d.Chain().Leaf(), d.Chain().Certificates[1]
	isTrue(t, leaf.Type == bcert.TypeDevice && leaf.Manufacturer.Name == "Harness" && leaf.ID != issuer.ID)
	isTrue(t, issuer.Type == bcert.TypeIssuer && issuer.SecurityLevel == 3000 && issuer.Manufacturer.Name == "Harness")
	isTrue(t, len(issuer.Keys) == 1 && slices.Equal(issuer.Keys[0].Usages, []bcert.Usage{6, 11, 15}))
}

func isReason(t *testing.T, err error, want drm.Reason) {
	t.Helper()
	var refused *bcert.VerifyError
	if !errors.As(err, &refused) || refused.Reason != want {
		t.Errorf("%v, want %s", err, want)
	}
}

func TestIssuePlayReadyDevice(t *testing.T) {
	t.Parallel()
	a := authority(t, trusted)
	for _, level := range []uint32{150, 2000, 3000} {
		d, err := a.IssuePlayReadyDevice(level, time.Time{})
		must(t, err)
		verifyDevice(t, a, d, int(level))
		isTrue(t, d.Chain().Leaf().Expires.IsZero())
		isTrue(t, bytes.Equal(d.Chain().Certificates[1].Raw, a.PlayReadyDevices()[0].Chain().Certificates[1].Raw))
		isTrue(t, d.SigningKey().Public() != a.PlayReadyDevices()[0].SigningKey().Public())
	}
	expires := time.Now().Add(time.Hour)
	d, err := a.IssuePlayReadyDevice(2000, expires)
	must(t, err)
	verifyDevice(t, a, d, 2000)
	_, _, err = d.Chain().VerifyDevice(a.PlayReadyRoot(), expires)
	isReason(t, err, bcert.ReasonExpired)
	isTrue(t, len(a.PlayReadyDevices()) == 2)
	if _, err := a.IssuePlayReadyDevice(2001, time.Time{}); err == nil || !strings.Contains(err.Error(), "level 2001, want 150, 2000 or 3000") {
		t.Errorf("%v", err)
	}
}

// TestPlayReadyFiles writes an authority: what clients are given is there as they take it, and it is read again.
func TestPlayReadyFiles(t *testing.T) {
	t.Parallel()
	a, dir := authority(t, trusted), t.TempDir()
	must(t, a.Write(dir))
	b, err := fakes.ReadAuthority(dir)
	must(t, err)
	isTrue(t, b.PlayReadyRoot() == a.PlayReadyRoot() && b.PlayReadyServerKey() == a.PlayReadyServerKey() && len(b.PlayReadyDevices()) == 2)
	further, err := b.IssuePlayReadyDevice(3000, time.Time{})
	must(t, err)
	verifyDevice(t, a, further, 3000)

	dir = filepath.Join(dir, "playready")
	for i, name := range []string{"1", "2"} {
		d, err := playready.LoadIdentity(filepath.Join(dir, "devices", name))
		must(t, err)
		verifyDevice(t, a, d, 2000)
		isTrue(t, d.Device() == a.PlayReadyDevices()[i].Device() && d.Device() == b.PlayReadyDevices()[i].Device())
	}
	root, server := a.PlayReadyRoot(), a.PlayReadyServerKey()
	isTrue(t, bytes.Equal(readFile(t, dir, "root_public_key.bin"), root[:]))
	isTrue(t, bytes.Equal(readFile(t, dir, "server_public_key.bin"), server[:]))
	isTrue(t, readScalar(t, dir, "root_key.pem").Public() == root && readScalar(t, dir, "server_key.pem").Public() == server)

	issuer, err := bcert.Parse(readFile(t, dir, "issuer_chain.bin"))
	must(t, err)
	must(t, issuer.Verify(root, time.Now()))
	isTrue(t, len(issuer.Certificates) == 1 && len(readFile(t, dir, "issuer_key.bin")) == 32)
	isTrue(t, readScalar(t, dir, "issuer_key.bin").Public() == issuer.Leaf().Keys[0].Public)
	isTrue(t, readScalar(t, dir, "issuer_key.pem").Public() == issuer.Leaf().Keys[0].Public)

	signer, err := bcert.Parse(readFile(t, dir, "signer_chain.bin"))
	must(t, err)
	must(t, signer.Verify(root, time.Now()))
	key, signs := signer.Leaf().Key(bcert.UsageSignResponse)
	isTrue(t, signs && signer.Leaf().Type == bcert.TypeServer && readScalar(t, dir, "signer_key.pem").Public() == key)
	isTrue(t, bytes.Equal(signer.Certificates[1].Raw, issuer.Leaf().Raw))

	revoked, err := playready.LoadIdentity(filepath.Join(dir, "revoked_device"))
	must(t, err)
	verifyDevice(t, a, revoked, 2000)
	isTrue(t, revoked.Device() == a.RevokedPlayReadyDevice().Device() && revoked.Device() == b.RevokedPlayReadyDevice().Device())
	list := readFile(t, dir, "revocation_list.bin")
	isTrue(t, bytes.Equal(list, a.PlayReadyRevocationList()) && bytes.Equal(list, b.PlayReadyRevocationList()))
}

// TestPlayReadyRevocationList: the list is signed under the authority's root and names the revoked device alone (sheet playready.md
// §8.2).
func TestPlayReadyRevocationList(t *testing.T) {
	t.Parallel()
	a := authority(t, trusted)
	list, err := bcert.ParseRevocationList(a.PlayReadyRevocationList())
	must(t, err)
	must(t, bcert.Verifier{Root: a.PlayReadyRoot(), Now: time.Now()}.VerifyList(list))
	isReason(t, bcert.Verifier{Root: authority(t, foreign).PlayReadyRoot(), Now: time.Now()}.VerifyList(list), bcert.ReasonRoot)
	isTrue(t, list.ID.Base64() == "ioydTlK2p0WXkWklprR5Hw==" && list.Version == 1 && list.Signer.Leaf().Manufacturer.Name == "Harness")
	isTrue(t, len(list.Entries) == 1 && list.Entries[0] == a.RevokedPlayReadyDevice().Chain().Leaf().Digest)
	verifyDevice(t, a, a.RevokedPlayReadyDevice(), 2000) // nothing else is wrong with it
	revoked := bcert.Verifier{Root: a.PlayReadyRoot(), Now: time.Now(), Revoked: bcert.Revoked(list)}
	_, _, err = revoked.VerifyDevice(a.RevokedPlayReadyDevice().Chain())
	isReason(t, err, bcert.ReasonRevoked)
	for _, d := range a.PlayReadyDevices() {
		_, _, err := revoked.VerifyDevice(d.Chain())
		must(t, err)
		isTrue(t, d.Device() != a.RevokedPlayReadyDevice().Device())
	}
	a.PlayReadyRevocationList()[0] ^= 1 // a copy
	isTrue(t, bytes.Equal(a.PlayReadyRevocationList(), list.Raw))
}

func readFile(t *testing.T, dir, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, name))
	must(t, err)
	return b
}

func readScalar(t *testing.T, dir, name string) ecc.PrivateKey {
	t.Helper()
	key, err := playready.ParseKey(readFile(t, dir, name))
	must(t, err)
	return key
}

// TestReadmeNamesFiles: the directory's text names every file in it.
func TestReadmeNamesFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	must(t, authority(t, trusted).Write(dir))
	readme := string(readFile(t, dir, "README.txt"))
	for _, name := range filesIn(t, dir) {
		name = strings.TrimPrefix(filepath.ToSlash(name), "playready/")
		name = strings.NewReplacer("devices/1", "devices/N", "devices/2", "devices/N").Replace(name)
		if !strings.Contains(readme, name) && name != "README.txt" {
			t.Errorf("%s is not in it", name)
		}
	}
}

// filesIn returns the names of all files under the directory.
func filesIn(t *testing.T, dir string) []string {
	t.Helper()
	var names []string
	must(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		must(t, err)
		if !d.IsDir() {
			name, err := filepath.Rel(dir, path)
			must(t, err)
			names = append(names, name)
		}
		return nil
	}))
	return names
}

// TestVaultKnowsPlayReadyFiles shows that the vault finds every private PlayReady file as it stands on disk, every line of it
// that tells of the key, the same key in SEC 1, and nothing in the other files.
func TestVaultKnowsPlayReadyFiles(t *testing.T) {
	t.Parallel()
	a, dir, vault := authority(t, trusted), t.TempDir(), secret.NewVault()
	must(t, a.Write(dir))
	a.AddTo(vault)
	dir = filepath.Join(dir, "playready")
	private := map[string]string{
		"root_key.pem": "playready-root-key", "issuer_key.pem": "playready-issuer-key", "issuer_key.bin": "playready-issuer-key",
		"server_key.pem": "playready-server-key", "signer_key.pem": "playready-signer-key",
		"devices/1/signing_key.pem": "playready-device-1-signing-key", "devices/1/encryption_key.pem": "playready-device-1-encryption-key",
		"devices/2/signing_key.pem": "playready-device-2-signing-key", "devices/2/encryption_key.pem": "playready-device-2-encryption-key",
		"revoked_device/signing_key.pem": "playready-revoked-signing-key", "revoked_device/encryption_key.pem": "playready-revoked-encryption-key",
	}
	for _, name := range filesIn(t, dir) {
		content, want := readFile(t, dir, name), private[filepath.ToSlash(name)]
		delete(private, filepath.ToSlash(name))
		found := vault.Names(content)
		if want == "" && len(found) > 0 || want != "" && !slices.Equal(found, []string{want}) {
			t.Errorf("%s: found %v, want %q", name, found, want)
		}
		if want == "" || !strings.HasSuffix(name, ".pem") {
			continue
		}
		// The scalar stands in bytes 36 to 67 of the DER: in the first and the second line of 48 bytes.
		for i, line := range bytes.Split(content, []byte("\n"))[1:3] {
			if found := vault.Names(line); !slices.Equal(found, []string{want}) {
				t.Errorf("%s: line %d: found %v, want %q", name, i+1, found, want)
			}
		}
		key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), readScalar(t, dir, name).Scalar().Reveal())
		must(t, err)
		sec1, err := x509.MarshalECPrivateKey(key)
		must(t, err)
		if found := vault.Names(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: sec1})); !slices.Equal(found, []string{want}) {
			t.Errorf("%s in SEC 1: found %v, want %q", name, found, want)
		}
	}
	isTrue(t, len(private) == 0)
}
