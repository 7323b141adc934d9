package loadtest

import "keyflow/drm"

// Ended says how a request ended that was minted.
type Ended struct {
	Sent bool
	// Answer is the unwrapped answer, nil if there is none or nobody is left to look at it.
	Answer []byte
}

// Settle takes what became of one minted request back to where it came from, such as a live session that goes on with the
// answer. It is called exactly once for every request that a source gave, be it sent or not. With an answer it is called by a
// worker of the verification, whatever share of the answers is verified, and its verdict is the one on the answer. Without
// one it must return at once: it may be called where requests wait.
type Settle func(e Ended) drm.Verdict

// land settles the flight, if it was not settled before.
func (f *flight) land(sent bool, answer []byte) drm.Verdict {
	settle := f.settle
	if settle == nil {
		return drm.Verdict{}
	}
	f.settle = nil
	return settle(Ended{sent, answer})
}

// clear settles what was minted and is never sent. Nobody mints or takes any more.
func (m *minter) clear() {
	for _, place := range m.ring {
		select {
		case f := <-place:
			f.land(false, nil)
		default:
		}
	}
}
