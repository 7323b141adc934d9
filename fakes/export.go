package fakes

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"keyflow/drm"
)

// EndpointsFile is the name of the file with the server's addresses that [Server.Export] writes.
const EndpointsFile = "endpoints.json"

// The names of the profiles that [Server.Export] writes, one for each system.
const (
	ProfileFile          = "plain-widevine.yaml"
	PlayReadyProfileFile = "plain-playready.yaml"
)

const profileText = `# A plain Widevine license service: keyflow's fake server, on this machine only.
profile: 1
id: plain-widevine
drm: widevine
request:
  url: %s
  content_type: application/octet-stream
response:
  ok_status: [200]
  content_types: [application/octet-stream]
  max_bytes: 1048576
`

const playReadyProfileText = `# A plain PlayReady license service: keyflow's fake server, on this machine only.
profile: 1
id: plain-playready
drm: playready
request:
  url: %s
response:
  ok_status: [200]
  content_types: [text/xml]
  max_bytes: 1048576
`

const exportReadme = authorityReadme + `
It also holds plain-widevine.yaml and plain-playready.yaml, provider profiles that point at the fake
server that was running when they were written, and endpoints.json, that server's addresses. While it
runs:

  keyflow check --profile DIR/plain-widevine.yaml --authority DIR
  keyflow check --profile DIR/plain-playready.yaml --authority DIR --asset FOLDER

where DIR is this directory and FOLDER a DASH asset. A Widevine player or client of your own can
use a device of devices/ and send its key requests to license_url in endpoints.json. For privacy mode
it asks certificate_url for the service certificate, or is given service_certificate.bin, and
verifies it under root_public_key.der. A PlayReady client can use a device of playready/devices/, or
make its own under playready/issuer_chain.bin; it encrypts its challenges for
playready/server_public_key.bin, and verifies responses under playready/root_public_key.bin, in place
of the vendor's two keys. The URLs under expressplay are those of a stand-in for that
provider's Widevine services, and with playready_ before their names for its PlayReady services; the
token services want the customer authenticator, which is the one line of expressplay_authenticator.txt.
`

// AuthenticatorFile is the name of the file with the ExpressPlay customer authenticator, a secret.
const AuthenticatorFile = "expressplay_authenticator.txt"

// endpoints is the content of [EndpointsFile]: no secret.
type endpoints struct {
	Version     int                            `json:"keyflow_endpoints"`
	Authority   drm.Fingerprint                `json:"authority"`
	Management  string                         `json:"management_url"`
	Systems     map[drm.System]systemEndpoints `json:"systems"`
	ExpressPlay expressPlayEndpoints           `json:"expressplay"`
}

type expressPlayEndpoints struct {
	Token            string `json:"token_url"` // for Widevine, as the next
	License          string `json:"license_url"`
	PlayReadyToken   string `json:"playready_token_url"`
	PlayReadyLicense string `json:"playready_license_url"`
}

type systemEndpoints struct {
	License     string `json:"license_url"`
	Certificate string `json:"certificate_url,omitempty"`
}

// endpoints returns the server's addresses as JSON. Certificate and license have one URL (sheet widevine.md §5.1).
func (s *Server) endpoints() ([]byte, error) {
	b, err := json.MarshalIndent(endpoints{
		Version: 1, Authority: s.authority.Fingerprint(), Management: s.ManagementURL(),
		Systems: map[drm.System]systemEndpoints{
			drm.Widevine:  {License: s.LicenseURL(), Certificate: s.LicenseURL()},
			drm.PlayReady: {License: s.PlayReadyURL()},
		},
		ExpressPlay: expressPlayEndpoints{
			Token: s.ExpressPlayTokenURL(), License: s.ExpressPlayLicenseURL(),
			PlayReadyToken: s.ExpressPlayPlayReadyTokenURL(), PlayReadyLicense: s.ExpressPlayPlayReadyURL(),
		},
	}, "", "  ")
	return append(b, '\n'), err
}

// Profile returns a provider profile that points at this server's Widevine service, as YAML.
func (s *Server) Profile() string { return fmt.Sprintf(profileText, s.LicenseURL()) }

// PlayReadyProfile returns a provider profile that points at this server's PlayReady service, as YAML.
func (s *Server) PlayReadyProfile() string {
	return fmt.Sprintf(playReadyProfileText, s.PlayReadyURL())
}

// Export writes the authority, profiles that point at this server and the server's addresses into a directory. A
// directory that holds this very authority keeps it and gets a new profile and addresses; any other that is not empty is
// refused, see [Authority.Write].
func (s *Server) Export(dir string) error {
	if err := s.exportAuthority(dir); err != nil {
		return fmt.Errorf("export to %s: %w", dir, err)
	}
	addresses, err := s.endpoints()
	if err != nil {
		return fmt.Errorf("export to %s: %w", dir, err)
	}
	for _, f := range []file{
		{EndpointsFile, addresses},
		{ProfileFile, []byte(s.Profile())},
		{PlayReadyProfileFile, []byte(s.PlayReadyProfile())},
		{AuthenticatorFile, append(slices.Clone(s.ExpressPlayAuthenticator().Reveal()), '\n')},
		{fileReadme, []byte(exportReadme)},
	} {
		if err := replaceFile(filepath.Join(dir, f.name), f.content); err != nil {
			return fmt.Errorf("export to %s: %w", dir, err)
		}
	}
	return nil
}

func (s *Server) exportAuthority(dir string) error {
	there, err := ReadAuthority(dir)
	switch {
	case errors.Is(err, ErrNoAuthority):
		return s.authority.Write(dir)
	case err != nil:
		return err
	case there.Fingerprint() != s.authority.Fingerprint() || !there.secret.Equal(s.authority.secret):
		return fmt.Errorf("it holds another authority, %s: %w", there.Fingerprint(), ErrOccupied)
	}
	return nil
}

// replaceFile writes a file at once: a reader sees the old or the new content.
func replaceFile(path string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*") // mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}
