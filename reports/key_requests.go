package reports

import (
	"fmt"
	"time"
)

// RequestSource says where the key requests of a load run are from.
type RequestSource string

// The sources.
const (
	Fresh  RequestSource = "fresh"  // minted for the run
	Corpus RequestSource = "corpus" // minted before it, each sent once
	Replay RequestSource = "replay" // captured, sent again and again
)

// KeyRequests tells what key requests a load run sent.
type KeyRequests struct {
	Source RequestSource `json:"source"`
	Corpus *CorpusFile   `json:"corpus,omitempty"`
	Replay *Replayed     `json:"replay,omitempty"`
}

// CorpusFile is the corpus that key requests were drawn from.
type CorpusFile struct {
	Digest  string    `json:"digest"` // SHA-256, hexadecimal
	Entries int64     `json:"entries"`
	Oldest  time.Time `json:"oldest"` // when its oldest entry was minted
	AgeMS   int64     `json:"age_ms"` // of the oldest entry when the run began
}

// Replayed are captured key requests.
type Replayed struct {
	Requests int `json:"requests"` // different ones
	Known    int `json:"known"`    // whose device is at hand, or that need none; answers to the others are judged by their shape alone
}

// ReplayCaveat is what has to be known of figures that captured requests gave.
const ReplayCaveat = "a server may answer from a cache, and may refuse a request that it has seen"

// ageCaveat is what has to be known of figures that a corpus gave.
const ageCaveat = "a server may refuse a request as old"

// notFresh reports whether the figures need the caveat that [KeyRequests.String] has.
func (k KeyRequests) notFresh() bool { return k.Corpus != nil || k.Replay != nil }

// String tells where the requests are from in one sentence, with the caveat that belongs to it.
func (k KeyRequests) String() string {
	switch {
	case k.Corpus != nil:
		age := (time.Duration(k.Corpus.AgeMS) * time.Millisecond).Round(time.Second)
		return fmt.Sprintf("a corpus of %s (sha256 %.12s), each sent once, the oldest minted %v before: %s",
			plural(int(k.Corpus.Entries), "entry", "entries"), k.Corpus.Digest, age, ageCaveat)
	case k.Replay != nil:
		return fmt.Sprintf("replay of %s again and again, the devices of %d at hand: %s",
			plural(k.Replay.Requests, "captured request", "captured requests"), k.Replay.Known, ReplayCaveat)
	}
	return string(k.Source)
}
