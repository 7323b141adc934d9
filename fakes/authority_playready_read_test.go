package fakes_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"keyflow/drm/playready/bcert"
	"keyflow/drm/playready/ecc"
	"keyflow/drm/secret"
	"keyflow/fakes"
)

// TestReadPlayReadyRefuses damages every file of the PlayReady part in turn: the error names it, or the file that doesn't
// belong to it.
func TestReadPlayReadyRefuses(t *testing.T) {
	t.Parallel()
	alien, same := filepath.Join(t.TempDir(), "alien"), filepath.Join(t.TempDir(), "same")
	must(t, authority(t, foreign).Write(alien))
	must(t, authority(t, trusted).Write(same))
	foreignFile := func(name string) damage { return fileOf(filepath.Join(alien, "playready"), name) }
	ownFile := func(name string) damage { return fileOf(filepath.Join(same, "playready"), name) }
	for _, c := range []struct {
		file   string
		damage damage
		want   string
		named  string // "" is the file
	}{
		{"root_key.pem", removeFile, "no such file", ""},
		{"root_key.pem", openFile, "chmod 600", ""},
		{"root_key.pem", emptyFile, "neither a private key in PEM nor", ""},
		{"root_key.pem", foreignFile("root_key.pem"), "not the 64 bytes of the public key of root_key.pem", "root_public_key.bin"},
		{"root_public_key.bin", removeFile, "no such file", ""},
		{"root_public_key.bin", emptyFile, "not the 64 bytes", ""},
		{"root_public_key.bin", foreignFile("root_public_key.bin"), "not the 64 bytes of the public key of root_key.pem", ""},
		{"server_key.pem", removeFile, "no such file", ""},
		{"server_key.pem", openFile, "chmod 600", ""},
		{"server_key.pem", ownFile("../root_key.pem"), "not of P-256", ""}, // an RSA key
		{"server_public_key.bin", ownFile("root_public_key.bin"), "not the 64 bytes of the public key of server_key.pem", ""},
		{"issuer_key.pem", removeFile, "no such file", ""},
		{"issuer_key.pem", openFile, "chmod 600", ""},
		{"issuer_key.pem", foreignFile("issuer_key.pem"), "not of the key in issuer_key.pem", "issuer_chain.bin"},
		{"issuer_key.bin", removeFile, "no such file", ""},
		{"issuer_key.bin", openFile, "chmod 600", ""},
		{"issuer_key.bin", emptyFile, "not the 32 bytes of the key in issuer_key.pem", ""},
		{"issuer_key.bin", foreignFile("issuer_key.bin"), "not the 32 bytes of the key in issuer_key.pem", ""},
		{"issuer_key.bin", ownFile("issuer_key.pem"), "not the 32 bytes of the key in issuer_key.pem", ""},
		{"issuer_chain.bin", removeFile, "no such file", ""},
		{"issuer_chain.bin", emptyFile, "magic", ""},
		{"issuer_chain.bin", foreignFile("issuer_chain.bin"), "not of the key in issuer_key.pem", ""},
		{"issuer_chain.bin", ownFile("signer_chain.bin"), "type 11, want 4", ""},
		{"issuer_chain.bin", flipSignature, "chain-signature", ""},
		{"signer_key.pem", removeFile, "no such file", ""},
		{"signer_key.pem", openFile, "chmod 600", ""},
		{"signer_key.pem", ownFile("server_key.pem"), "not of the key in signer_key.pem", "signer_chain.bin"},
		{"signer_chain.bin", removeFile, "no such file", ""},
		{"signer_chain.bin", putFile("garbage"), "CHAI", ""},
		{"signer_chain.bin", ownFile("devices/1/certificate_chain.bin"), "type 2, want 11", ""},
		{"signer_chain.bin", foreignFile("signer_chain.bin"), "not of the key in signer_key.pem", ""},
		{"signer_chain.bin", flipSignature, "chain-signature", ""},
		{"devices/2/signing_key.pem", removeFile, "no such file", ""},
		{"devices/2/signing_key.pem", openFile, "chmod 600", ""},
		{"devices/1/signing_key.pem", ownFile("devices/2/signing_key.pem"), "signing key does not belong", "devices/1/certificate_chain.bin"},
		{"devices/1/encryption_key.pem", openFile, "chmod 600", ""},
		{"devices/1/encryption_key.pem", ownFile("devices/1/signing_key.pem"), "encryption key does not belong", "devices/1/certificate_chain.bin"},
		{"devices/1/certificate_chain.bin", removeFile, "no such file", ""},
		{"devices/1/certificate_chain.bin", ownFile("devices/2/certificate_chain.bin"), "does not belong", ""},
		{"devices/2/certificate_chain.bin", ownFile("signer_chain.bin"), "lacks a key", ""},
		{"devices/2/certificate_chain.bin", flipSignature, "chain-signature", ""},
		{"devices/2/certificate_chain.bin", putFile(strings.Repeat("x", 65<<10)), "more than 65536 bytes", ""},
		{"revoked_device/signing_key.pem", removeFile, "no such file", ""},
		{"revoked_device/signing_key.pem", openFile, "chmod 600", ""},
		{"revoked_device/encryption_key.pem", ownFile("devices/1/encryption_key.pem"), "does not belong", "revoked_device/certificate_chain.bin"},
		{"revoked_device/certificate_chain.bin", removeFile, "no such file", ""},
		{"revoked_device/certificate_chain.bin", flipSignature, "chain-signature", ""},
		{"revocation_list.bin", removeFile, "no such file", ""},
		{"revocation_list.bin", putFile("garbage"), "revocation list: ", ""},
		{"revocation_list.bin", flipEntry, "revocation-list-signature", ""},
		{"revocation_list.bin", flipSignature, "chain-signature", ""},
		{"revocation_list.bin", foreignFile("revocation_list.bin"), "chain-root", ""},
	} {
		t.Run(c.file+" "+c.want, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			must(t, authority(t, trusted).Write(dir))
			c.damage(t, filepath.Join(dir, "playready", c.file))
			if c.named == "" {
				c.named = c.file
			}
			_, err := fakes.ReadAuthority(dir)
			if err == nil || !strings.Contains(err.Error(), c.want) ||
				!strings.Contains(err.Error(), filepath.FromSlash("playready/"+c.named)) {
				t.Fatalf("%v, want %q and %s in it", err, c.want, c.named)
			}
			vault := secret.NewVault()
			authority(t, trusted).AddTo(vault)
			if len(vault.Names([]byte(err.Error()))) > 0 {
				t.Error("the error holds a secret")
			}
		})
	}
}

// flipSignature changes a bit in the signature of the last certificate of a chain: 4 bytes into the body of its last attribute,
// which has 144 bytes.
func flipSignature(t *testing.T, path string) {
	t.Helper()
	b, err := os.ReadFile(path)
	must(t, err)
	b[len(b)-144+8+4] ^= 1
	must(t, os.WriteFile(path, b, 0o600))
}

// flipEntry changes a bit in the first entry of a revocation list, behind a header of 24 bytes.
func flipEntry(t *testing.T, path string) {
	t.Helper()
	b, err := os.ReadFile(path)
	must(t, err)
	b[24] ^= 1
	must(t, os.WriteFile(path, b, 0o600))
}

// TestReadPlayReadyRevoked has a device in the place of the revoked one that the list does not name, and lists of more and of none.
func TestReadPlayReadyRevoked(t *testing.T) {
	t.Parallel()
	key, err := ecc.GenerateKey()
	must(t, err)
	for name, c := range map[string]struct {
		entries func(revoked [32]byte) [][32]byte // nil: the list stays
		device  bool                              // that is not revoked
		want    string
	}{
		"another device": {nil, true, "1 entries, want the device in revoked_device alone"},
		"no entry":       {func([32]byte) [][32]byte { return nil }, false, "0 entries"},
		"two entries":    {func(r [32]byte) [][32]byte { return [][32]byte{r, {}} }, false, "2 entries"},
		"the right one":  {func(r [32]byte) [][32]byte { return [][32]byte{r} }, false, ""},
	} {
		dir := t.TempDir()
		a := authority(t, trusted)
		must(t, a.Write(dir))
		folder := filepath.Join(dir, "playready")
		if c.device {
			for _, file := range []string{"signing_key.pem", "encryption_key.pem", "certificate_chain.bin"} {
				fileOf(folder, "devices/1/"+file)(t, filepath.Join(folder, "revoked_device", file))
			}
		}
		if c.entries != nil {
			_, issuerKey, issuer := a.PlayReadyIssuer()
			signer, err := bcert.Join(issued(t, bcert.NewCRLSigner([16]byte{3}, key.Public()), issuerKey), issuer)
			must(t, err)
			list, err := bcert.IssueRevocationList(bcert.ListDigests1, 2, c.entries(a.RevokedPlayReadyDevice().Chain().Leaf().Digest), key, signer)
			must(t, err)
			must(t, os.WriteFile(filepath.Join(folder, "revocation_list.bin"), list.Raw, 0o600))
		}
		_, err := fakes.ReadAuthority(dir)
		if c.want == "" {
			must(t, err)
		} else if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "revocation_list.bin") {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// TestReadPlayReadyMixed has files that fit one another and belong to another authority.
func TestReadPlayReadyMixed(t *testing.T) {
	t.Parallel()
	alien := t.TempDir()
	must(t, authority(t, foreign).Write(alien))
	for _, c := range []struct {
		files []string
		named string
	}{
		{[]string{"root_key.pem", "root_public_key.bin"}, "issuer_chain.bin"},
		{[]string{"issuer_key.pem", "issuer_key.bin", "issuer_chain.bin"}, "issuer_chain.bin"},
		{[]string{"signer_key.pem", "signer_chain.bin"}, "signer_chain.bin"},
		{[]string{"revoked_device/signing_key.pem", "revoked_device/encryption_key.pem", "revoked_device/certificate_chain.bin"}, "revoked_device/certificate_chain.bin"},
		{[]string{"revocation_list.bin"}, "revocation_list.bin"},
		{[]string{"devices/1/signing_key.pem", "devices/1/encryption_key.pem", "devices/1/certificate_chain.bin"}, "devices/1/certificate_chain.bin"},
	} {
		dir := t.TempDir()
		must(t, authority(t, trusted).Write(dir))
		for _, name := range c.files {
			fileOf(filepath.Join(alien, "playready"), name)(t, filepath.Join(dir, "playready", name))
		}
		_, err := fakes.ReadAuthority(dir)
		isReason(t, err, bcert.ReasonRoot)
		if err == nil || !strings.Contains(err.Error(), filepath.FromSlash("playready/"+c.named)) {
			t.Errorf("%v, want %s in it", err, c.named)
		}
	}
	// All of it: a PlayReady part that is right in itself, and has devices enough.
	whole := t.TempDir()
	must(t, authority(t, trusted).Write(whole))
	for _, name := range filesIn(t, filepath.Join(alien, "playready")) {
		fileOf(filepath.Join(whole, "playready"), name)(t, filepath.Join(alien, "playready", name))
	}
	_, err := fakes.ReadAuthority(alien)
	if err == nil || !strings.Contains(err.Error(), "authority.json: names the PlayReady root ") {
		t.Errorf("another authority's PlayReady part: %v", err)
	}
}

// TestReadPlayReadyIssuer has issuers that the root stands behind, of the right key, but that don't do.
func TestReadPlayReadyIssuer(t *testing.T) {
	t.Parallel()
	both := []bcert.Usage{bcert.UsageIssuerDevice, bcert.UsageIssuerServer}
	for name, c := range map[string]struct {
		usages       []bcert.Usage
		intermediate bool // the root signs another issuer, and that one this
		want         string
	}{
		"no servers": {both[:1], false, "lacks usage 15"},
		"no devices": {both[1:], false, "lacks usage 6"},
		"not alone":  {both, true, "2 certificates, want the issuer's alone"},
		"fitting":    {both, false, ""},
	} {
		dir := t.TempDir()
		must(t, authority(t, trusted).Write(dir))
		folder := filepath.Join(dir, "playready")
		by, above := readScalar(t, folder, "root_key.pem"), []*bcert.Certificate(nil)
		if c.intermediate {
			key, err := ecc.GenerateKey()
			must(t, err)
			top, err := bcert.NewIssuer([16]byte{2}, 3000, key.Public(), bcert.UsageIssuerAll).Issue(by)
			must(t, err)
			by, above = key, append(above, top)
		}
		issuer, err := bcert.NewIssuer([16]byte{1}, 3000, readScalar(t, folder, "issuer_key.pem").Public(), c.usages...).Issue(by)
		must(t, err)
		chain, err := bcert.Join(append([]*bcert.Certificate{issuer}, above...)...)
		must(t, err)
		must(t, os.WriteFile(filepath.Join(folder, "issuer_chain.bin"), chain.Raw, 0o600))
		_, err = fakes.ReadAuthority(dir)
		if c.want == "" {
			must(t, err)
		} else if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "issuer_chain.bin") {
			t.Errorf("%s: %v, want %q and issuer_chain.bin in it", name, err, c.want)
		}
	}
}
