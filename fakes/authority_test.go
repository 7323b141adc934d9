package fakes_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"keyflow/drm"
	"keyflow/drm/provider"
	"keyflow/drm/secret"
	"keyflow/drm/widevine/chain"
	"keyflow/drm/widevine/wire"
	"keyflow/fakes"
)

// TestAuthority checks the table of sheet widevine.md §15 and the names of §6.4.
func TestAuthority(t *testing.T) {
	t.Parallel()
	a := authority(t, trusted)
	isTrue(t, len(a.Devices()) == 2)
	for _, d := range a.Devices() {
		id := new(wire.ClientIdentification)
		must(t, proto.Unmarshal(d.ClientID(), id))
		isTrue(t, id.GetType() == wire.ClientIdentification_DRM_DEVICE_CERTIFICATE && id.GetClientInfo()[0].GetValue() == "Harness")
		device, err := chain.VerifyDevice(id.GetToken(), a.RootKey(), time.Now())
		must(t, err)
		f := device.Fields
		isTrue(t, f.GetSystemId() == 900001 && len(f.GetSerialNumber()) == 16 && f.GetCreationTimeSeconds() != 0)
		isTrue(t, len(f.GetPublicKey()) == 270 && device.Key.Equal(d.PublicKey()))
		if _, err := chain.VerifyDevice(id.GetToken(), authority(t, foreign).RootKey(), time.Now()); !errors.Is(err, chain.ErrSignature) {
			t.Errorf("under another root: %v", err)
		}
	}
	isTrue(t, a.Devices()[0].Device() != a.Devices()[1].Device())
	isTrue(t, a.Fingerprint() != authority(t, foreign).Fingerprint() && len(a.Fingerprint()) == 16)
}

func TestContentKey(t *testing.T) {
	t.Parallel()
	a := authority(t, trusted)
	isTrue(t, a.ContentKey(kid0).Len() == 16 && a.ContentKey(kid0).Equal(a.ContentKey(kid0)))
	isTrue(t, !a.ContentKey(kid0).Equal(a.ContentKey(kid1)))
	isTrue(t, !a.ContentKey(kid0).Equal(authority(t, foreign).ContentKey(kid0)))
	other := kid0
	other[15]++ // WV-CON-05: KIDs that share a prefix
	isTrue(t, !a.ContentKey(kid0).Equal(a.ContentKey(other)))
}

func TestNewAuthorityRefuses(t *testing.T) {
	t.Parallel()
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	for name, c := range map[string]struct {
		ctx     context.Context
		options fakes.AuthorityOptions
		want    string
	}{
		"devices":   {t.Context(), fakes.AuthorityOptions{Devices: -1}, "-1 devices"},
		"too many":  {t.Context(), fakes.AuthorityOptions{Devices: 1001}, "1001 devices"},
		"root bits": {t.Context(), fakes.AuthorityOptions{RootBits: 1024}, "1024 bits"},
		"canceled":  {canceled, fakes.AuthorityOptions{}, "context canceled"},
	} {
		if _, err := fakes.NewAuthority(c.ctx, c.options); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q in it", name, err, c.want)
		}
	}
}

// TestAuthorityFiles writes an authority and reads it again: it is the same, and a server with it trusts its devices.
func TestAuthorityFiles(t *testing.T) {
	t.Parallel()
	a, dir := authority(t, trusted), filepath.Join(t.TempDir(), "new", "authority")
	must(t, a.Write(dir))
	must(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		must(t, err)
		info, err := d.Info()
		must(t, err)
		want := fs.FileMode(0o600)
		if d.IsDir() {
			want = 0o700
		}
		if info.Mode().Perm() != want {
			t.Errorf("%s: mode %o, want %o", path, info.Mode().Perm(), want)
		}
		return nil
	}))
	readme, err := os.ReadFile(filepath.Join(dir, "README.txt"))
	must(t, err)
	isTrue(t, strings.Contains(string(readme), "for tests") && strings.Contains(string(readme), "No real\nlicense server accepts its devices"))
	pub, err := os.ReadFile(filepath.Join(dir, "root_public_key.der"))
	must(t, err)
	root, err := x509.ParsePKCS1PublicKey(pub)
	must(t, err)
	isTrue(t, root.Equal(a.RootKey()))

	b, err := fakes.ReadAuthority(dir)
	must(t, err)
	isTrue(t, b.Fingerprint() == a.Fingerprint() && b.ContentKey(kid0).Equal(a.ContentKey(kid0)))
	isTrue(t, len(b.Devices()) == 2 && bytes.Equal(b.Devices()[1].ClientID(), a.Devices()[1].ClientID()))
	getLicense(t, start(t, fakes.Options{Authority: b}), ask{device: a.Devices()[1]})
	getLicense(t, start(t, fakes.Options{Authority: a}), ask{device: b.Devices()[0]})
	isTrue(t, bytes.Equal(b.ServiceCertificate(), a.ServiceCertificate()))
	onDisk, err := os.ReadFile(filepath.Join(dir, "service_certificate.bin"))
	isTrue(t, err == nil && bytes.Equal(onDisk, a.ServiceCertificate()))
	getLicense(t, start(t, fakes.Options{Authority: b}), ask{edit: private(t, privacy{certificate: onDisk})})
}

func TestWriteOverwritesNothing(t *testing.T) {
	t.Parallel()
	a, dir := authority(t, trusted), t.TempDir()
	must(t, a.Write(dir))
	before := snapshot(t, dir)
	if err := authority(t, foreign).Write(dir); !errors.Is(err, fakes.ErrOccupied) || !strings.Contains(err.Error(), dir) {
		t.Errorf("over another authority: %v", err)
	}
	isTrue(t, before == snapshot(t, dir))
	other := t.TempDir()
	must(t, os.WriteFile(filepath.Join(other, "thesis.txt"), []byte("x"), 0o600))
	if err := a.Write(other); !errors.Is(err, fakes.ErrOccupied) || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("beside somebody's file: %v", err)
	}
	isTrue(t, snapshot(t, other) == "thesis.txt=x;")
	if err := a.Write(filepath.Join(other, "thesis.txt")); err == nil {
		t.Error("a file was taken for a directory")
	}
}

// snapshot is the names and contents of a directory's files.
func snapshot(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	must(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		must(t, err)
		if !d.IsDir() {
			content, err := os.ReadFile(path)
			must(t, err)
			name, err := filepath.Rel(dir, path)
			must(t, err)
			b.WriteString(name + "=" + string(content) + ";")
		}
		return nil
	}))
	return b.String()
}

// damage does something to a file that an authority must not be read with.
type damage func(t *testing.T, path string)

func removeFile(t *testing.T, path string) { t.Helper(); must(t, os.Remove(path)) }
func openFile(t *testing.T, path string)   { t.Helper(); must(t, os.Chmod(path, 0o644)) }
func emptyFile(t *testing.T, path string)  { t.Helper(); must(t, os.WriteFile(path, nil, 0o600)) }

func putFile(content string) damage {
	return func(t *testing.T, path string) { t.Helper(); must(t, os.WriteFile(path, []byte(content), 0o600)) }
}

// fileOf puts a file of an authority's directory in another one's place.
func fileOf(dir, name string) damage {
	return func(t *testing.T, path string) {
		t.Helper()
		content, err := os.ReadFile(filepath.Join(dir, name))
		must(t, err)
		must(t, os.WriteFile(path, content, 0o600))
	}
}

// TestReadAuthorityRefuses damages every file in turn: the error names it.
func TestReadAuthorityRefuses(t *testing.T) {
	t.Parallel()
	alien := t.TempDir()
	must(t, authority(t, foreign).Write(alien))
	foreignFile := func(name string) damage { return fileOf(alien, name) }
	for _, c := range []struct {
		file   string
		damage damage
		want   string
	}{
		{"authority.json", removeFile, "keyflow fake --export"},
		{"authority.json", putFile("{"), "unexpected end"},
		{"authority.json", putFile(`{"keyflow_authority":4,"devices":1}`), "version 4, want 3"},
		{"authority.json", putFile(`{"devices":1}`), "version 0, want 3"},
		{"authority.json", putFile(`{"keyflow_authority":1,"devices":1}`), "version 1, made by an earlier keyflow: export again"},
		{"authority.json", putFile(`{"keyflow_authority":2,"devices":2}`), "version 2, made by an earlier keyflow: export again"},
		{"authority.json", putFile(`{"keyflow_authority":3,"devices":0}`), "0 devices"},
		{"authority.json", putFile(`{"keyflow_authority":3,"devices":3,"fingerprint":"x"}`), "no such file"},
		{"authority.json", putFile(`{"keyflow_authority":3,"devices":2,"fingerprint":"x"}`), "names authority x"},
		{"authority.json", putFile(strings.Repeat(" ", 65<<10)), "more than 65536 bytes"},
		{"secret.pem", removeFile, "no such file"},
		{"secret.pem", openFile, "chmod 600"},
		{"secret.pem", emptyFile, "one PEM block"},
		{"secret.pem", putFile("-----BEGIN KEYFLOW AUTHORITY SECRET-----\nAAAA\n-----END KEYFLOW AUTHORITY SECRET-----\n"), "3 bytes, want 32"},
		{"root_key.pem", removeFile, "no such file"},
		{"root_key.pem", openFile, "chmod 600"},
		{"root_key.pem", putFile("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"), "not a PKCS#8"},
		{"root_certificate.bin", foreignFile("root_certificate.bin"), "not of the key in root_key.pem"},
		{"root_certificate.bin", emptyFile, "malformed"},
		{"model_key.pem", foreignFile("model_key.pem"), "not of the key in model_key.pem"},
		{"model_certificate.bin", removeFile, "no such file"},
		{"service_key.pem", removeFile, "no such file"},
		{"service_key.pem", openFile, "chmod 600"},
		{"service_certificate.bin", removeFile, "no such file"},
		{"service_certificate.bin", emptyFile, "malformed"},
		{"service_certificate.bin", foreignFile("service_certificate.bin"), "not of the key in service_key.pem"},
		{"devices/2/private_key.pem", removeFile, "no such file"},
		{"devices/1/private_key.pem", openFile, "chmod 600"},
		{"devices/1/private_key.pem", foreignFile("devices/1/private_key.pem"), "does not belong"},
		{"devices/1/client_id.bin", emptyFile, "token type"},
		{"devices/1/client_id.bin", putFile("garbage"), "client identification"},
	} {
		t.Run(c.file+" "+c.want, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			must(t, authority(t, trusted).Write(dir))
			c.damage(t, filepath.Join(dir, c.file))
			_, err := fakes.ReadAuthority(dir)
			named := c.file
			if c.want == "does not belong" { // the key is fine by itself
				named = "devices/1/client_id.bin"
			}
			if strings.HasPrefix(c.file, "model_key") {
				named = "model_certificate.bin"
			}
			if strings.Contains(c.want, "no such file") && c.file == "authority.json" {
				named = "devices/3/private_key.pem"
			}
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), filepath.FromSlash(named)) {
				t.Errorf("%v, want %q and %s in it", err, c.want, named)
			}
			vault := secret.NewVault()
			authority(t, trusted).AddTo(vault)
			if err != nil && len(vault.Names([]byte(err.Error()))) > 0 {
				t.Error("the error holds a secret")
			}
		})
	}
	if _, err := fakes.ReadAuthority(t.TempDir()); !errors.Is(err, fakes.ErrNoAuthority) {
		t.Errorf("an empty directory: %v", err)
	}
	// What belongs to another authority, key and certificate fitting, under this root; and a model's for the service's.
	for _, c := range []struct {
		from, to [2]string
		want     error
	}{
		{[2]string{"devices/1/private_key.pem", "devices/1/client_id.bin"}, [2]string{}, chain.ErrSignature},
		{[2]string{"service_key.pem", "service_certificate.bin"}, [2]string{}, chain.ErrSignature},
		{[2]string{"model_key.pem", "model_certificate.bin"}, [2]string{"service_key.pem", "service_certificate.bin"}, chain.ErrType},
	} {
		mixed, from := t.TempDir(), alien
		must(t, authority(t, trusted).Write(mixed))
		if c.to[0] == "" {
			c.to = c.from
		} else {
			from = mixed
		}
		for i := range c.from {
			content, err := os.ReadFile(filepath.Join(from, c.from[i]))
			must(t, err)
			must(t, os.WriteFile(filepath.Join(mixed, c.to[i]), content, 0o600))
		}
		if _, err := fakes.ReadAuthority(mixed); !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.to[1]) {
			t.Errorf("%s as %s: %v, want %v", c.from[1], c.to[1], err, c.want)
		}
	}
}

// TestExport is the directory that somebody else's client gets: the profile is one that the loader takes.
func TestExport(t *testing.T) {
	t.Parallel()
	s, dir := start(t, fakes.Options{}), t.TempDir()
	must(t, s.Export(dir))
	path := filepath.Join(dir, fakes.ProfileFile)
	text, err := os.ReadFile(path)
	must(t, err)
	p, err := provider.Load(path)
	must(t, err)
	isTrue(t, p.Version == 1 && p.ID == "plain-widevine" && p.DRM == drm.Widevine)
	isTrue(t, p.Request.URL == s.LicenseURL() && p.Request.ContentType == "application/octet-stream")
	isTrue(t, len(p.Response.OKStatus) == 1 && p.Response.OKStatus[0] == 200 && p.Response.MaxBytes == 1<<20)
	isTrue(t, len(p.Response.ContentTypes) == 1 && p.Response.ContentTypes[0] == "application/octet-stream")
	addressed, err := os.ReadFile(filepath.Join(dir, fakes.EndpointsFile))
	must(t, err)
	var endpoints struct {
		Version     int                          `json:"keyflow_endpoints"`
		Authority   drm.Fingerprint              `json:"authority"`
		Management  string                       `json:"management_url"`
		Systems     map[string]map[string]string `json:"systems"`
		ExpressPlay map[string]string            `json:"expressplay"`
	}
	must(t, json.Unmarshal(addressed, &endpoints))
	isTrue(t, endpoints.Version == 1 && endpoints.Authority == s.Authority().Fingerprint() && endpoints.Management == s.ManagementURL())
	widevine := endpoints.Systems["widevine"]
	isTrue(t, len(endpoints.Systems) == 2 && widevine["license_url"] == s.LicenseURL() && widevine["certificate_url"] == s.LicenseURL())
	isTrue(t, len(endpoints.Systems["playready"]) == 1 && endpoints.Systems["playready"]["license_url"] == s.PlayReadyURL())
	p, err = provider.Load(filepath.Join(dir, fakes.PlayReadyProfileFile))
	must(t, err)
	isTrue(t, p.ID == "plain-playready" && p.DRM == drm.PlayReady && p.Request.URL == s.PlayReadyURL() && p.Request.ContentType == "text/xml; charset=utf-8")
	isTrue(t, endpoints.ExpressPlay["token_url"] == s.ExpressPlayTokenURL() && endpoints.ExpressPlay["license_url"] == s.ExpressPlayLicenseURL())
	readme, err := os.ReadFile(filepath.Join(dir, "README.txt"))
	must(t, err)
	isTrue(t, strings.Contains(string(readme), fakes.EndpointsFile) && strings.Contains(string(readme), "service_certificate.bin"))
	isTrue(t, strings.Contains(string(readme), "keyflow check --profile DIR/plain-widevine.yaml --authority DIR"))
	isTrue(t, strings.Contains(string(readme), "keyflow check --profile DIR/plain-playready.yaml --authority DIR"))

	// The next server with the same authority has another port: the profile follows, the authority stays.
	next := start(t, fakes.Options{Authority: s.Authority()})
	must(t, next.Export(dir))
	again, err := os.ReadFile(path)
	must(t, err)
	isTrue(t, string(again) == strings.Replace(string(text), s.LicenseURL(), next.LicenseURL(), 1))
	addresses, err := os.ReadFile(filepath.Join(dir, fakes.EndpointsFile))
	isTrue(t, err == nil && strings.Contains(string(addresses), next.LicenseURL()) && !strings.Contains(string(addresses), s.URL()))
	for _, name := range []string{fakes.ProfileFile, fakes.EndpointsFile} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%v, %v", info, err)
		}
	}
	stranger := start(t, fakes.Options{Authority: authority(t, foreign)})
	if err := stranger.Export(dir); !errors.Is(err, fakes.ErrOccupied) {
		t.Errorf("over another authority's export: %v", err)
	}
	read, err := fakes.ReadAuthority(dir)
	must(t, err)
	isTrue(t, read.Fingerprint() == s.Authority().Fingerprint())
}
