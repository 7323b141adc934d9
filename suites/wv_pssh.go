package suites

import (
	"crypto/rand"
	"fmt"

	"keyflow/drm"
	"keyflow/drm/pssh"
	"keyflow/reports"
)

const reasonMadeUpKey drm.Reason = "made-up-key"

// widevinePSSH are the checks of what content a server answers for (sheet widevine.md §18, "PSSH variants").
func widevinePSSH() []Check {
	return []Check{{
		ID: "WV-PSH-05", Title: "An unknown KID is refused or left out; a key is never made up",
		Level: reports.Must, Source: "protocol necessity; sheet widevine.md §18",
		Why:   "A made-up key looks like a working license until the first frame; a typo in a KID then costs days.",
		Hint:  "Does the key store create keys on demand, or fall back to a default key?",
		Kills: []Kill{{"wv-unknown-kid-served", reports.Fail, reasonMadeUpKey}},
		Run:   unknownKID,
	}}
}

func unknownKID(e *Env) {
	Require(e, HaveLicense)
	var kid drm.KID
	_, _ = rand.Read(kid[:]) // never fails since Go 1.24
	box := drm.Box{SystemID: pssh.IDOf(drm.Widevine), Data: pssh.Synthesize([]drm.KID{kid})}
	x, err := e.Exchange(e.Platform, box, drm.KindLicense)
	if err != nil {
		e.block("get an answer to a request for an unknown KID", err)
	}
	const step = "ask for a random KID"
	if !x.Granted() {
		e.Note("asset granted; random KID refused with %s", e.refusal(x, step))
		return
	}
	for _, c := range x.Answer().Containers {
		if c.KID != nil && *c.KID == kid {
			e.Fail(Failure{Reason: reasonMadeUpKey, Step: step, Expected: "a refusal, or a license without the KID",
				Seen: fmt.Sprintf("HTTP %d with a key for the random KID %s", x.Status, kid)})
		}
	}
	e.Note("asset granted; random KID: a license without a key for it")
}
