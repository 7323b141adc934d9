package provider

import (
	"fmt"
	"io"
	"time"

	"keyflow/drm"
	"keyflow/drm/pssh"
	"keyflow/drm/secret"
)

// inputs are what a template may name of lease and message.
type inputs struct {
	need    Need
	kids    []drm.KID
	session string // id
	laURL   string // of the WRMHEADER
	msg     drm.Message
	now     time.Time
	uuid    string
	seq     uint64
	forge   *forgery // of tokens that are made here
}

// exprEnv returns the environment of expressions. It holds secrets in the clear and must not outlive the evaluation.
func (b *bound) exprEnv(tokens map[string]outputs, in inputs) map[string]any {
	vars := make(map[string]any, len(b.vars))
	for name, v := range b.vars {
		if s, ok := v.(secret.Bytes); ok {
			v = string(s.Reveal())
		}
		vars[name] = v
	}
	values := make(map[string]any, len(tokens))
	for id, outputs := range tokens {
		values[id] = outputs.clear()
	}
	env := map[string]any{"var": vars, "token": values, "now": in.now, "uuid": in.uuid}
	if b.named.run {
		env["run"] = map[string]any{"id": b.env.RunID}
	}
	if b.named.fresh {
		env["req"] = map[string]any{"seq": int(in.seq)}
	}
	if b.named.namesContent() {
		env["input"] = in.exprInput()
	}
	return env
}

// exprInput returns what expressions see of lease and message.
func (in *inputs) exprInput() map[string]any {
	input := map[string]any{
		"content_id": in.need.ContentID, "challenge": in.msg.Body, "challenge_kind": string(in.msg.Kind),
		"kids": make([][]byte, len(in.kids)), "keys": make([]keyInput, len(in.kids)), "kid": []byte(nil),
		"pssh": in.need.Box.Raw, "header_la_url": in.laURL, "session_id": in.session,
	}
	for i, k := range in.kids {
		input["kids"].([][]byte)[i] = k[:]
		input["keys"].([]keyInput)[i] = keyInput{KID: k[:], CEK: in.need.Keys[k].Reveal(), Label: in.need.Labels[k]}
	}
	if len(in.kids) > 0 {
		input["kid"] = in.kids[0][:]
	}
	return input
}

// clear returns the values as expressions see them.
func (o outputs) clear() map[string]any {
	m := make(map[string]any, len(o))
	for name, s := range o {
		m[name] = string(s.Reveal())
	}
	return m
}

// newUUID returns a random UUID (RFC 9562, version 4).
func (b *bound) newUUID() string {
	var random [16]byte
	_, _ = io.ReadFull(b.env.Rand, random[:]) // crypto/rand never fails since Go 1.24
	return uuidOf(random)
}

func uuidOf(b [16]byte) string {
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return drm.KID(b).String()
}

// laURLOf returns the license URL in a PlayReady box, "" if there is none: whether a box is right is for others to judge.
func laURLOf(box drm.Box) string {
	h, err := pssh.PlayReadyHeader(box)
	if err != nil {
		return ""
	}
	return h.LAURL
}

// textOf returns a value as it lands in text.
func textOf(v any) string {
	if b, ok := v.([]byte); ok {
		return string(b)
	}
	return fmt.Sprint(v)
}
