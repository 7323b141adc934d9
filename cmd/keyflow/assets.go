package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"keyflow/drm"
	"keyflow/drm/secret"
	"keyflow/fixtures"
	"keyflow/suites"
)

// assets opens what --asset names.
func (f *targetFlags) assets() ([]*suites.Asset, error) {
	var opened []fixtures.Asset
	var err error
	if len(f.asset) == 0 {
		if opened, err = fixtures.Assets(); err != nil {
			return nil, harness(err)
		}
	}
	for _, name := range f.asset {
		a, err := openAsset(name)
		if err != nil {
			return nil, usage(err, "keyflow list assets shows the embedded ones; a folder must hold one MPD and its segments")
		}
		opened = append(opened, a)
	}
	var assets []*suites.Asset
	for _, a := range opened {
		asset, err := suites.LoadAsset(a)
		if err != nil {
			return nil, usage(err, "keyflow inspect FILE shows the pssh boxes of an MPD or segment")
		}
		assets = append(assets, asset)
	}
	return assets, nil
}

// openAsset opens a folder, the folder of an MPD, or an embedded asset. A name with a path separator is never one of those.
func openAsset(name string) (fixtures.Asset, error) {
	info, err := os.Stat(name)
	switch {
	case err == nil && !info.IsDir() && strings.EqualFold(filepath.Ext(name), ".mpd"):
		return fixtures.OpenDir(filepath.Dir(name))
	case err == nil && info.IsDir(), strings.ContainsAny(name, `/\`):
		return fixtures.OpenDir(name)
	default:
		return fixtures.Open(name)
	}
}

// allKeys refuses assets that the embedded fakes could not serve: every check would end in their refusal.
func allKeys(assets []*suites.Asset, keys map[drm.KID]secret.Bytes) error {
	for _, a := range assets {
		lacking := slices.DeleteFunc(a.KIDs(), func(kid drm.KID) bool { return !keys[kid].IsZero() })
		if len(lacking) > 0 {
			return usage(fmt.Errorf("asset %s: the embedded fakes have no key for KID %s", a.Name, drm.JoinKIDs(lacking)),
				"give them the content's keys with --asset-keys FILE, or test the real server with --profile FILE")
		}
	}
	return nil
}

// keyStore is what a fake serves: the keys of the embedded assets, and of a file.
func keyStore(assets []*suites.Asset, file string) (map[drm.KID]secret.Bytes, map[drm.KID]string, error) {
	keys, labels := map[drm.KID]secret.Bytes{}, map[drm.KID]string{}
	for _, a := range assets {
		for kid, label := range a.Labels() {
			if labels[kid] == "" {
				labels[kid] = label
			}
		}
		for _, t := range a.Tracks {
			if !t.Key.IsZero() {
				keys[t.KID] = t.Key
			}
		}
	}
	if file == "" {
		return keys, labels, nil
	}
	more, err := readKeys(file)
	if err != nil {
		return nil, nil, err
	}
	maps.Copy(keys, more)
	return keys, labels, nil
}

func readKeys(file string) (map[drm.KID]secret.Bytes, error) {
	const hint = "one KID:KEY a line, 32 hexadecimal digits each; # starts a comment"
	r, err := os.Open(file)
	if err != nil {
		return nil, usage(fmt.Errorf("read asset keys: %w", err), hint)
	}
	defer r.Close()
	keys, err := fixtures.ReadKeys(r)
	if err != nil {
		return nil, usage(fmt.Errorf("read asset keys %s: %w", file, err), hint)
	}
	return keys, nil
}
