package reports

import (
	"fmt"
	"slices"
	"strings"
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
	Digest  string    `json:"digest"` // SHA-256, hexadecimal; of several that merged runs had, all with + between
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

// Add adds those of another generator's slice of the plan, from the same kind of source. Files of the same digest are one.
func (k *KeyRequests) Add(o KeyRequests) {
	if c := o.Corpus; c != nil {
		if k.Corpus == nil {
			k.Corpus = &CorpusFile{Oldest: c.Oldest}
		}
		if digests := strings.Split(k.Corpus.Digest, "+"); !slices.Contains(digests, c.Digest) {
			k.Corpus.Digest = strings.TrimPrefix(k.Corpus.Digest+"+"+c.Digest, "+")
			k.Corpus.Entries += c.Entries
		}
		if c.Oldest.Before(k.Corpus.Oldest) {
			k.Corpus.Oldest = c.Oldest
		}
		k.Corpus.AgeMS = max(k.Corpus.AgeMS, c.AgeMS)
	}
	if r := o.Replay; r != nil {
		if k.Replay == nil {
			k.Replay = &Replayed{}
		}
		k.Replay.Requests, k.Replay.Known = max(k.Replay.Requests, r.Requests), max(k.Replay.Known, r.Known)
	}
}

// notFresh reports whether the figures need the caveat that [KeyRequests.String] has.
func (k KeyRequests) notFresh() bool { return k.Corpus != nil || k.Replay != nil }

// String tells where the requests are from in one sentence, with the caveat that belongs to it.
func (k KeyRequests) String() string {
	switch {
	case k.Corpus != nil:
		age := (time.Duration(k.Corpus.AgeMS) * time.Millisecond).Round(time.Second)
		digests := strings.Split(k.Corpus.Digest, "+")
		for i, d := range digests {
			digests[i] = fmt.Sprintf("%.12s", d)
		}
		return fmt.Sprintf("a corpus of %s (sha256 %s), each sent once, the oldest minted %v before: %s",
			plural(int(k.Corpus.Entries), "entry", "entries"), strings.Join(digests, ", "), age, ageCaveat)
	case k.Replay != nil:
		return fmt.Sprintf("replay of %s again and again, the devices of %d at hand: %s",
			plural(k.Replay.Requests, "captured request", "captured requests"), k.Replay.Known, ReplayCaveat)
	}
	return string(k.Source)
}
