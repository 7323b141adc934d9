package suites

import (
	"errors"
	"fmt"
	"slices"

	"keyflow/drm"
	"keyflow/drm/pssh"
	"keyflow/drm/secret"
	"keyflow/fixtures"
)

// Asset is DASH content as a player meets it: its pssh boxes and its tracks.
type Asset struct {
	Name   string
	Boxes  []drm.Box
	Tracks []fixtures.Track // the protected ones
	source fixtures.Asset
}

// LoadAsset finds the pssh boxes of DASH content, in the MPD first and then in the init segments. Content in which not one
// box can be read is an error that wraps what was wrong with each place.
func LoadAsset(a fixtures.Asset) (*Asset, error) {
	sources, err := a.Sources()
	if err != nil {
		return nil, err
	}
	asset := &Asset{Name: a.Name, source: a}
	var errs []error
	for _, s := range sources {
		found, err := pssh.Find(s.Name, s.Data)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		for _, b := range found.Boxes() {
			if !slices.ContainsFunc(asset.Boxes, func(o drm.Box) bool { return slices.Equal(o.Raw, b.Raw) }) {
				asset.Boxes = append(asset.Boxes, b)
			}
		}
	}
	if len(asset.Boxes) == 0 {
		return nil, fmt.Errorf("asset %s: %w", a.Name, errors.Join(errs...))
	}
	for _, t := range a.Tracks {
		if t.Protected {
			asset.Tracks = append(asset.Tracks, t)
		}
	}
	return asset, nil
}

// KIDs returns the KIDs of the protected tracks, each once.
func (a *Asset) KIDs() []drm.KID {
	var kids []drm.KID
	for _, t := range a.Tracks {
		if !slices.Contains(kids, t.KID) {
			kids = append(kids, t.KID)
		}
	}
	return kids
}

// Keys returns the content keys that are known, by KID: of embedded assets.
func (a *Asset) Keys() map[drm.KID]secret.Bytes { return a.source.Keys() }

// Labels returns the track labels, by KID; tracks that share a key have the first one's.
func (a *Asset) Labels() map[drm.KID]string {
	labels := map[drm.KID]string{}
	for _, t := range a.Tracks {
		if labels[t.KID] == "" {
			labels[t.KID] = t.Label
		}
	}
	return labels
}

// contentID returns the content id that a Widevine box has, or else one that is made of the asset's name.
func (a *Asset) contentID(box drm.Box) []byte {
	if d, err := pssh.ParseWidevineData(box.Data); err == nil && box.SystemID == pssh.IDOf(drm.Widevine) && len(d.ContentID) > 0 {
		return d.ContentID
	}
	return []byte(a.Name)
}
