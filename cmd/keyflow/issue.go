package main

import (
	"fmt"
	"maps"
	"slices"

	"keyflow/drm/nearest"
	"keyflow/fakes"
)

// What --widevine and --playready know.
const (
	widevineHelp  = "renewable"
	playReadyHelp = "persistent, sign-all, acknowledgements, revocation-info, strict-versions; several with commas"
)

// issueOptions reads --widevine and --playready.
func issueOptions(widevine, playReady []string) (w fakes.WidevineOptions, p fakes.PlayReadyOptions, err error) {
	if err = switchOn("--widevine", widevineHelp, widevine, map[string]*bool{"renewable": &w.Renewable}); err != nil {
		return w, p, err
	}
	return w, p, switchOn("--playready", playReadyHelp, playReady, map[string]*bool{
		"persistent": &p.Persistent, "sign-all": &p.SignAll, "acknowledgements": &p.Acknowledgements,
		"revocation-info": &p.RevocationInfo, "strict-versions": &p.StrictVersions,
	})
}

// switchOn sets the options that a flag names.
func switchOn(flag, help string, words []string, options map[string]*bool) error {
	for _, word := range words {
		option, known := options[word]
		if !known {
			return usage(fmt.Errorf("%s %q: %s", flag, word, nearest.Hint(word, slices.Sorted(maps.Keys(options)))), "known are "+help)
		}
		*option = true
	}
	return nil
}
