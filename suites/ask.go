package suites

import (
	"fmt"
	"slices"

	"keyflow/drm"
	"keyflow/drm/provider"
	"keyflow/drm/pssh"
)

// Ask is what one session asks for: a box, and what a lease for it is wanted for.
type Ask struct {
	Box  drm.Box
	Need provider.Need
}

// Asks cuts the target's content into sessions that together ask for every KID of it: one for each box that it takes, and one for
// every KID of a box where a lease entitles to one KID. There is at least one. The error is that of [pssh.Cover], or says that
// a box cannot be read.
func (t *Target) Asks() ([]Ask, error) {
	kids := t.Asset.KIDs()
	boxes, err := pssh.Cover(t.Asset.Boxes, t.Profile.DRM, kids)
	if err != nil {
		return nil, err
	}
	var asks []Ask
	var served []drm.KID
	for _, box := range boxes {
		if t.Profile.DRM == drm.PlayReady {
			if _, err := pssh.PlayReadyHeader(box); err != nil {
				return nil, fmt.Errorf("read pssh box: %w", err)
			}
		}
		need := provider.Need{Asset: t.Asset.Name, KIDs: kids, Keys: t.Asset.Keys(), Labels: t.Asset.Labels(), Box: box, ContentID: t.Asset.contentID(box)}
		if len(boxes) > 1 {
			need.KIDs = slices.DeleteFunc(slices.Clone(kids), func(k drm.KID) bool {
				return !slices.Contains(pssh.KIDs(box), k) || slices.Contains(served, k)
			})
			served = append(served, need.KIDs...)
		}
		for _, n := range t.Profile.Sessions(need) {
			asks = append(asks, Ask{box, n})
		}
	}
	return asks, nil
}
