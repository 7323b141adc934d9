package reports

// Load is the result of a load run. All times are microseconds.
type Load struct {
	Plan         Plan          `json:"plan"`
	WarmUp       *WarmUp       `json:"warm_up,omitempty"` // nil: there was none
	Accounting   Accounting    `json:"accounting"`
	Shares       []Share       `json:"shares,omitempty"`   // of a mix; they add up to the accounting
	Prepared     *Prepared     `json:"prepared,omitempty"` // beside the plan, for renewals
	Rate         Rate          `json:"rate"`
	Operations   []Operation   `json:"operations"`
	Seconds      []Second      `json:"seconds"`
	SLOs         []SLO         `json:"slos,omitempty"`
	Verification *Verification `json:"verification,omitempty"` // what was verified says of what was not
	Throttled    *Throttled    `json:"throttled,omitempty"`    // nil: no server said that it is asked too much
	Tokens       *Tokens       `json:"tokens,omitempty"`       // nil: none came from a service
	Generator    Generator     `json:"generator"`
	Samples      []Sample      `json:"samples,omitempty"` // of failed and wrong answers, a bounded number per class
	Traffic      Traffic       `json:"traffic,omitzero"`
	Usage        []Usage       `json:"usage,omitempty"` // by the generator's clock, one entry a second
	// JournalLost tells why the run was no longer streamed to disk; nil if it was to its end, or nobody wanted it.
	JournalLost *JournalLost `json:"journal_lost,omitempty"`
}

// Plan is what was asked for.
type Plan struct {
	Shape      string  `json:"shape"`                // constant, ramp, steps, spike, or stages: anything else
	RatePerSec float64 `json:"rate_per_s"`           // the mean
	PeakPerSec float64 `json:"peak_per_s,omitempty"` // the highest, where the rate changes
	DurationMS int64   `json:"duration_ms"`
	Requests   int64   `json:"requests"`
	Verify     string  `json:"verify"`  // all, none, or a percentage
	Workers    int     `json:"workers"` // connections, and requests in flight at most
	// NewConnections says that each request had a connection of its own, and that latency includes the time to open it.
	NewConnections bool    `json:"new_connections,omitempty"`
	Stages         []Stage `json:"stages,omitempty"` // where the rate changes; their requests add up

	KeyRequests KeyRequests `json:"key_requests,omitzero"`
}

// Stage is a part of a plan: its rate changes evenly from one to another, or stays.
type Stage struct {
	FromPerSec float64 `json:"from_per_s"`
	ToPerSec   float64 `json:"to_per_s"`
	DurationMS int64   `json:"duration_ms"`
	Requests   int64   `json:"requests"`
}

// WarmUp is the beginning of a plan, by the time at which requests were due. They are sent, accounted for and verified like
// all others, but no part of rate, percentiles and objectives; only a wrong answer is one wherever it comes.
type WarmUp struct {
	DurationMS int64            `json:"duration_ms"`
	Planned    int64            `json:"planned"`
	Sent       int64            `json:"sent"`
	Answered   int64            `json:"answered"`
	Failed     map[string]int64 `json:"failed,omitempty"` // by class
	Wrong      int64            `json:"wrong"`
}

// Accounting balances: Planned = Sent + the sum of NotSent, Sent = Answered + the sum of Failed + InFlight, and
// Answered = Verified + Unverified + Wrong.
type Accounting struct {
	Planned  int64            `json:"planned"`
	Sent     int64            `json:"sent"`
	NotSent  map[string]int64 `json:"not_sent,omitempty"` // by reason
	Answered int64            `json:"answered"`           // with a license
	Failed   map[string]int64 `json:"failed,omitempty"`   // by class
	// InFlight counts requests that were sent and had not ended when the journal of a run ended that was killed.
	InFlight   int64            `json:"in_flight,omitempty"`
	Verified   int64            `json:"verified"`
	Unverified int64            `json:"unverified"`
	Wrong      int64            `json:"wrong"` // licenses that did not stand up to verification
	WrongBy    map[string]int64 `json:"wrong_by,omitempty"`
	// ServerCounted is the number of requests that the fake itself saw; nil against a server that does not tell.
	ServerCounted *int64 `json:"server_counted,omitempty"`
	// ServerCountedBy splits that by operation, in a run of several kinds of requests.
	ServerCountedBy map[string]int64 `json:"server_counted_by,omitempty"`
	Balanced        bool             `json:"balanced"`
}

// Prepared are the license requests beside the plan that renewals need: Requests = Sessions + Replaced + Failed. They count in no
// other number of the run.
type Prepared struct {
	Sessions int64 `json:"sessions"` // that are alive
	Requests int64 `json:"requests"` // sent to get them
	Replaced int64 `json:"replaced"` // sessions that others took the place of, because their renewals failed
	Failed   int64 `json:"failed"`   // requests that got no license to renew
}

// Share is the part of a load run's requests that belongs to one profile, or one leaf of a finer mix.
type Share struct {
	Profile    string      `json:"profile"`
	System     string      `json:"system"`
	Operation  string      `json:"operation,omitempty"` // of its requests, where the mix tells them apart
	Asset      string      `json:"asset,omitempty"`     // likewise
	Bad        bool        `json:"bad,omitempty"`       // its requests have to be refused
	Weight     int64       `json:"weight"`              // beside those of the other shares
	Accounting Accounting  `json:"accounting"`
	Operations []Operation `json:"operations"`
}

// Rate compares what was asked of the generator with what it did.
type Rate struct {
	AskedPerSec    float64 `json:"asked_per_s"`
	AchievedPerSec float64 `json:"achieved_per_s"`
	AnsweredPerSec float64 `json:"answered_per_s"`
	Percent        float64 `json:"percent"` // achieved of asked
}

// Operation is what was measured of one operation, behind the warm-up.
type Operation struct {
	Name     string           `json:"name"`
	Bad      bool             `json:"bad,omitempty"` // its requests have to be refused; no latency of the run counts them
	Sent     int64            `json:"sent"`
	Answered int64            `json:"answered"`
	Failed   map[string]int64 `json:"failed,omitempty"` // by class
	Wrong    int64            `json:"wrong"`            // those of the warm-up are among them
	// Latency counts from the time at which a request was due, so that a stalled server shows.
	Latency Percentiles `json:"latency"`
	// Service counts from the time at which a request was sent.
	Service Percentiles `json:"service"`
	// Lag is the time between due and sent.
	Lag Percentiles `json:"lag"`
}

// Percentiles summarize an HDR histogram. Histogram is its lossless V2 encoding (compressed, base64), to merge.
type Percentiles struct {
	Count     int64   `json:"count"`
	Min       int64   `json:"min_us"`
	Mean      float64 `json:"mean_us"`
	P50       int64   `json:"p50_us"`
	P90       int64   `json:"p90_us"`
	P95       int64   `json:"p95_us"`
	P99       int64   `json:"p99_us"`
	P999      int64   `json:"p999_us"`
	Max       int64   `json:"max_us"`
	Histogram string  `json:"histogram,omitempty"`
}

// Second is one second of the run, by due time.
type Second struct {
	At       int   `json:"at_s"`
	Due      int64 `json:"due"`
	Sent     int64 `json:"sent"`
	Answered int64 `json:"answered"`
	Failed   int64 `json:"failed"`
	Wrong    int64 `json:"wrong"`
	// FailedBy and WrongBy are by class; a run has a bounded number of classes.
	FailedBy map[string]int64 `json:"failed_by,omitempty"`
	WrongBy  map[string]int64 `json:"wrong_by,omitempty"`
	// BytesSent and BytesReceived count bodies, of requests that were sent and of answers as far as they were read.
	BytesSent     int64 `json:"bytes_sent,omitempty"`
	BytesReceived int64 `json:"bytes_received,omitempty"`
	P50           int64 `json:"p50_us"`
	P99           int64 `json:"p99_us"`
	Max           int64 `json:"max_us"`
	// Histogram is the lossless V2 encoding of the second's latencies.
	Histogram string `json:"histogram,omitempty"`
	// Operations splits the second's requests by operation.
	Operations []SecondOperation `json:"operations,omitempty"`
}

// SecondOperation is the part of one operation in a second.
type SecondOperation struct {
	Name     string `json:"name"`
	Bad      bool   `json:"bad,omitempty"` // as of the operation
	Sent     int64  `json:"sent"`
	Answered int64  `json:"answered"`
	Failed   int64  `json:"failed"`
	Wrong    int64  `json:"wrong"`
	// Histogram is that of the operation's latencies; empty in a second of one operation that is not bad, whose own Histogram it is.
	Histogram string `json:"histogram,omitempty"`
}

// SLO is one objective and whether it was kept: over the whole run, and in each window if it is judged by windows.
type SLO struct {
	Expression string      `json:"expression"`
	Kept       bool        `json:"kept"`
	Seen       string      `json:"seen"`              // over the whole run
	Implied    bool        `json:"implied,omitempty"` // always checked, not asked for
	Windows    *SLOWindows `json:"windows,omitempty"`
}

// SLOWindows is how an objective fared in parts of the run that follow each other, by the time at which requests were due.
type SLOWindows struct {
	Seconds int        `json:"seconds"` // of each
	Judged  int        `json:"judged"`
	Missed  int        `json:"missed"`
	Worst   *SLOWindow `json:"worst,omitempty"` // nil: none was judged
}

// SLOWindow is one window.
type SLOWindow struct {
	At      int    `json:"at_s"`    // since the start of the run
	Seconds int    `json:"seconds"` // fewer than asked for at the end of a run
	Seen    string `json:"seen"`
}

// Generator tells whether keyflow itself was the limit.
type Generator struct {
	Limited       bool    `json:"limited"`
	Why           string  `json:"why,omitempty"`
	WorkerBound   int64   `json:"worker_bound_hits"`
	Starved       int64   `json:"starved"`        // requests that had to wait for a minted message
	Held          int64   `json:"held,omitempty"` // requests that waited for what the service's owner allows
	MintedAhead   int     `json:"minted_ahead"`
	CPUSeconds    float64 `json:"cpu_s"`
	GCPauses      int     `json:"gc_pauses"`
	GCPauseMicros int64   `json:"gc_pause_us,omitempty"` // sum
	MaxHeapBytes  uint64  `json:"max_heap_bytes"`
	VerifySeconds float64 `json:"verify_s"` // after the last answer, spent on the verification queue
}

// Traffic is what a run put on its connections. Bodies are counted as in [Second]; the wire has them with HTTP headers and
// what TLS adds, but without the headers of TCP and IP.
type Traffic struct {
	BytesSent       int64 `json:"bytes_sent"`
	BytesReceived   int64 `json:"bytes_received"`
	WireSent        int64 `json:"wire_sent"`
	WireReceived    int64 `json:"wire_received"`
	Connections     int64 `json:"connections"` // opened, those before the first request included
	ConnectionsOpen int64 `json:"connections_open_max"`
}

// Usage is what the generator's process did in one second of its clock, which began with the attack: minting ahead and
// opening connections come before. Fakes in the same process are part of it. An entry that follows a gap stands for all
// of it.
type Usage struct {
	At         int     `json:"at_s"`
	CPUSeconds float64 `json:"cpu_s"` // user and system
	GCPauses   int     `json:"gc_pauses"`
	// GCPauseMicros is the time for which the garbage collector stopped the process.
	GCPauseMicros     int64  `json:"gc_pause_us"`
	HeapBytes         uint64 `json:"heap_bytes"` // at the end of the second
	Goroutines        int    `json:"goroutines"` // at the end of the second
	ConnectionsOpened int64  `json:"connections_opened"`
	ConnectionsOpen   int64  `json:"connections_open"` // at the end of the second
	WireSent          int64  `json:"wire_sent"`        // bytes, as in Traffic
	WireReceived      int64  `json:"wire_received"`
}

// JournalLost says when and why a run was no longer streamed to disk.
type JournalLost struct {
	At  int    `json:"at_s"` // second since the attack began
	Why string `json:"why"`
}

// Sample is one failed or wrong answer, kept as an example of its class.
type Sample struct {
	Class     string `json:"class"`
	Profile   string `json:"profile,omitempty"`   // of the request, in a mix
	Operation string `json:"operation,omitempty"` // likewise
	Asset     string `json:"asset,omitempty"`     // likewise
	Seq       int64  `json:"seq"`
	Expected  string `json:"expected,omitempty"`
	Seen      string `json:"seen"`
	// Transcript is the path of the exchange, relative to the report; "" if it was not kept.
	Transcript string `json:"transcript,omitempty"`
}
