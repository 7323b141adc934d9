package loadtest

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"keyflow/drm"
	"keyflow/drm/provider"
)

// flight is one request on its way: minted, built, sent, answered, judged. One goroutine at a time owns it.
type flight struct {
	message drm.Message
	lease   *provider.Lease
	again   Source            // see Fresh
	request *provider.Request // nil once the flight has ended
	seq     int64             // within the plan or slice
	share   int
	bad     bool   // of a share of bad requests
	settle  Settle // nil if nobody waits for the flight to end, or once it is called

	refused string        // why it is not sent though the pacer released it; "" for one that is
	stop    *StopError    // ends the run when the flight is due
	sent    time.Duration // since the run began, when it was handed to the transport
	done    time.Duration // since the run began, when its answer was read or it failed
	status  int           // of the answer, 0 if there was none
	out, in int64         // bytes of the request's body, and of the answer's as far as it was read
	answer  []byte        // the unwrapped license, nil if it failed or was denied
	denied  bool          // the profile recognised the refusal of a bad request: that is its answer
	unasked bool          // answered, but nobody is to judge it: it is only settled
	failure failure       // zero if it was answered
	reply   *reply        // for evidence; nil if none is wanted, or no answer came
}

// failure says why a flight has no answer.
type failure struct {
	class    string
	expected string
	seen     string
}

// flightOverhead estimates the memory that a waiting flight holds beside request and answer, in bytes.
const flightOverhead = 1 << 10

// size returns the memory that the flight holds, in bytes.
func (f *flight) size() int64 {
	return int64(len(f.message.Body)+len(f.answer)) + flightOverhead + f.extra()
}

// slots hands flights from the targeter, which vegeta calls without a sequence number, to the round tripper, which sees
// only an HTTP request: the slot's name travels in a header that never leaves the process.
type slots struct {
	free    chan int
	flights []*flight
	headers []http.Header // per slot, never modified
}

const slotHeader = "X-Keyflow-Slot"

// newSlots returns n slots: one for each worker, so that there is always a free one.
func newSlots(n int) *slots {
	s := &slots{free: make(chan int, n), flights: make([]*flight, n), headers: make([]http.Header, n)}
	for i := range n {
		s.headers[i] = http.Header{slotHeader: {strconv.Itoa(i)}}
		s.free <- i
	}
	return s
}

// put stores the flight and returns the header that names its slot.
func (s *slots) put(f *flight) http.Header {
	i := <-s.free
	s.flights[i] = f
	return s.headers[i]
}

// take returns the flight of the slot that the header names, and frees the slot.
func (s *slots) take(h http.Header) (*flight, error) {
	i, err := strconv.Atoi(h.Get(slotHeader))
	if err != nil || i < 0 || i >= len(s.flights) || s.flights[i] == nil {
		return nil, fmt.Errorf("no flight in slot %q", h.Get(slotHeader))
	}
	f := s.flights[i]
	s.flights[i] = nil
	s.free <- i
	return f, nil
}

// timed reports whether the flight's times count as latency and service time: those of answers, and of timeouts at what
// they had taken by then, because leaving the slowest out would make a stalled server look fast. Other failures do not
// count: a fast refusal would do the same.
func (f *flight) timed() bool { return f.failure.class == "" || f.failure.class == classTimeout }
