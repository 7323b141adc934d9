package fakes

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"keyflow/drm"
)

// maxManagementBody bounds a request to the management address, in bytes.
const maxManagementBody = 1 << 20

// The management address's answers, as JSON.
type (
	healthAnswer struct {
		Status    string          `json:"status"`
		URL       string          `json:"url"`
		License   string          `json:"license_url"`
		Authority drm.Fingerprint `json:"authority"`
		Seed      int64           `json:"seed"`
		Now       time.Time       `json:"now"`
	}
	requestsAnswer struct {
		Total       Count              `json:"total"`
		ByOperation map[drm.Kind]Count `json:"by_operation"`
		Requests    []Record           `json:"requests"`
	}
	faultAnswer struct {
		Fault
		Exercised uint64 `json:"exercised"`
	}
	faultsAnswer struct {
		Set       []Setting     `json:"set"`
		Catalogue []faultAnswer `json:"catalogue"`
	}
	clockAnswer struct {
		Now    time.Time `json:"now"`
		Offset string    `json:"offset"`
	}
	errorAnswer struct {
		Error   string `json:"error"`
		Nearest string `json:"nearest,omitempty"` // of an unknown fault
	}
)

// managementHandler serves what [Server.ManagementURL] lists.
func (s *Server) managementHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, healthAnswer{"ok", s.URL(), s.LicenseURL(), s.authority.Fingerprint(), s.seed, s.clock.Now().UTC()})
	})
	mux.HandleFunc("GET /requests", s.serveRequests)
	mux.HandleFunc("GET /faults", func(w http.ResponseWriter, _ *http.Request) { s.writeFaults(w) })
	mux.HandleFunc("PUT /faults", func(w http.ResponseWriter, r *http.Request) { s.changeFaults(w, r, s.SetFaults) })
	mux.HandleFunc("POST /faults", func(w http.ResponseWriter, r *http.Request) { s.changeFaults(w, r, s.AddFaults) })
	mux.HandleFunc("DELETE /faults", func(w http.ResponseWriter, _ *http.Request) {
		s.ClearFaults()
		s.writeFaults(w)
	})
	mux.HandleFunc("GET /clock", func(w http.ResponseWriter, _ *http.Request) { s.writeClock(w) })
	mux.HandleFunc("POST /clock", s.advanceClock)
	return mux
}

func (s *Server) serveRequests(w http.ResponseWriter, r *http.Request) {
	var since uint64
	if text := r.URL.Query().Get("since"); text != "" {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			writeJSON(w, http.StatusBadRequest, errorAnswer{Error: fmt.Sprintf("since %q: want a number from 0", text)})
			return
		}
		since = n
	}
	total, byOperation := s.Count()
	records := s.history.since(since)
	if records == nil {
		records = []Record{}
	}
	writeJSON(w, http.StatusOK, requestsAnswer{total, byOperation, records})
}

func (s *Server) writeFaults(w http.ResponseWriter) {
	a := faultsAnswer{Set: s.Faults()}
	for _, f := range Catalogue() {
		a.Catalogue = append(a.Catalogue, faultAnswer{f, s.Exercised(f.Name)})
	}
	writeJSON(w, http.StatusOK, a)
}

func (s *Server) changeFaults(w http.ResponseWriter, r *http.Request, change func(...Setting) error) {
	var body struct {
		Faults []Setting `json:"faults"`
	}
	if !readJSON(w, r, &body) {
		return
	}
	if err := change(body.Faults...); err != nil {
		a := errorAnswer{Error: err.Error()}
		if unknown := (*UnknownFaultError)(nil); errors.As(err, &unknown) {
			a.Nearest = unknown.Nearest
		}
		writeJSON(w, http.StatusBadRequest, a)
		return
	}
	s.writeFaults(w)
}

func (s *Server) advanceClock(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Advance string `json:"advance"`
	}
	if !readJSON(w, r, &body) {
		return
	}
	d, err := time.ParseDuration(body.Advance)
	if err != nil {
		writeJSON(w, http.StatusBadRequest, errorAnswer{Error: fmt.Sprintf("advance %q: want a duration such as 1h30m or -10s", body.Advance)})
		return
	}
	s.clock.Advance(d)
	s.writeClock(w)
}

func (s *Server) writeClock(w http.ResponseWriter) {
	writeJSON(w, http.StatusOK, clockAnswer{s.clock.Now().UTC(), s.clock.Offset().String()})
}

// readJSON reads a body strictly: one JSON value, no unknown keys. It answers itself and returns false if it can't.
func readJSON(w http.ResponseWriter, r *http.Request, into any) bool {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxManagementBody))
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if err == nil {
		if _, err = d.Token(); errors.Is(err, io.EOF) {
			return true
		}
		err = errors.New("more than one JSON value")
	}
	writeJSON(w, http.StatusBadRequest, errorAnswer{Error: "read the request's JSON: " + err.Error()})
	return false
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		http.Error(w, "the answer can't be written as JSON", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n')) // a client that left is no concern of the server
}
