package suites

import (
	"fmt"

	"keyflow/drm"
	"keyflow/drm/playready"
	"keyflow/drm/widevine"
)

// WithBrokenSignature returns the device with license requests that are right but for one flipped bit of their signature: a server
// that grants one fails WV-SIG-01 or PR-SEC-01. A platform whose requests cannot be forged is an error.
func WithBrokenSignature(p drm.Platform) (drm.Platform, error) {
	switch p := p.(type) {
	case *widevine.Platform:
		return p.WithForge(widevine.Forge{Sign: flip}), nil
	case *playready.Platform:
		return p.WithForge(playready.Forge{Sign: flip}), nil
	}
	return nil, fmt.Errorf("the requests of a %T cannot be forged", p)
}
