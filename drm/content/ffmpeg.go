package content

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"

	"keyflow/drm"
)

// defaultTimeout bounds one run of ffmpeg: decoding a segment of some seconds takes a fraction of one.
const defaultTimeout = 30 * time.Second

// maxOutput bounds what is kept of ffmpeg's output, in bytes; noise can make it complain once per macroblock.
const maxOutput = 64 << 10

// minVideo is the least size in bytes of a key's encrypted samples that ffmpeg's silence is believed for. Arithmetic coding
// makes something of any bits: of single H.264 frames under 600 bytes, decrypted with a wrong key, one in six was decoded
// without complaint, the smallest every other time; of frames over 1200 bytes none. Twenty of the small ones in a row are
// enough, also in the pattern 1:9 of cbcs, which leaves nine blocks of ten in the clear: decoding is lost in the first one.
const minVideo = 8 << 10

// evidence returns the number of bytes of encrypted samples by KID.
func (d *Decrypted) evidence() map[drm.KID]int {
	sizes := map[drm.KID]int{}
	for _, s := range d.encrypted() {
		sizes[s.KID] += len(s.Data)
	}
	return sizes
}

// byFFmpeg decodes the video with ffmpeg. The key is proved if ffmpeg complains of nothing and gives one frame per sample:
// some noise decodes without complaint, but not to all frames.
func (p Prover) byFFmpeg(ctx context.Context, proof *Proof, dec *Decrypted) error {
	expected := fmt.Sprintf("%d frames decoded without complaint", len(dec.Samples))
	if !dec.Samples[0].Sync {
		proof.unverifiable(expected, "the segment does not start with a random access point", "prove the key with the first segment of the track")
		return nil
	}
	for kid, size := range dec.evidence() {
		if size < minVideo {
			proof.unverifiable(expected, fmt.Sprintf("%d bytes of encrypted samples for KID %s, want at least %d", size, kid, minVideo),
				"prove the key with a longer segment")
			return nil
		}
	}
	path, err := p.lookPath()
	if err != nil {
		proof.unverifiable(expected, "ffmpeg is not installed", "install ffmpeg, which decodes the video to prove it")
		return nil //nolint:nilerr // a machine without ffmpeg is an outcome, no error
	}
	run, err := p.runFFmpeg(ctx, path, dec)
	switch {
	case err != nil:
		return err
	case run.unfit != "":
		proof.unverifiable(expected, run.unfit, "run the proof with an ffmpeg that decodes "+dec.Entry.Format)
	case run.complaint != "":
		proof.disproved(ByFFmpeg, expected, "ffmpeg: "+run.complaint, wrongKeyHint+", or the segment needs an earlier one to decode")
	case run.frames != len(dec.Samples):
		proof.disproved(ByFFmpeg, expected, fmt.Sprintf("%d frames", run.frames), wrongKeyHint)
	default:
		proof.proved(ByFFmpeg, expected, fmt.Sprintf("%d frames", run.frames))
	}
	return nil
}

// ffmpegRun is what a run of ffmpeg came to.
type ffmpegRun struct {
	frames    int
	complaint string // first line of what it complained of, "" if nothing
	unfit     string // why the run says nothing of the media, "" if it does
}

// runFFmpeg decodes the segment, which goes to ffmpeg through a pipe: no plain media is written to a disk.
func (p Prover) runFFmpeg(ctx context.Context, path string, dec *Decrypted) (ffmpegRun, error) {
	timeout := p.Timeout
	if timeout == 0 {
		timeout = defaultTimeout
	}
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	// The null output passes frames through as they come, none dropped or doubled to keep a rate.
	cmd := exec.CommandContext(limited, path, "-nostdin", "-hide_banner", "-v", "error", "-protocol_whitelist", "pipe",
		"-xerror", "-err_detect", "explode", "-threads", "1", "-f", "mp4", "-i", "pipe:0",
		"-map", "0:v:0", "-f", "null", "-progress", "pipe:1", "-")
	cmd.Stdin = bytes.NewReader(append(bytes.Clone(dec.Init), dec.Segment...))
	progress, complaints := &tail{}, &tail{}
	cmd.Stdout, cmd.Stderr = progress, complaints
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	if ctx.Err() != nil {
		return ffmpegRun{}, ctx.Err()
	}
	if limited.Err() != nil {
		return ffmpegRun{unfit: fmt.Sprintf("ffmpeg did not end within %v", timeout)}, nil
	}
	run := ffmpegRun{complaint: firstLine(complaints.String()), frames: frames(progress.String())}
	var exit *exec.ExitError
	switch {
	case noDecoder.MatchString(complaints.String()):
		run.unfit = "ffmpeg: " + run.complaint
	case errors.As(err, &exit) && !exit.Exited():
		run.unfit = "ffmpeg died: " + exit.String()
	case errors.As(err, &exit):
		if run.complaint == "" {
			run.complaint = exit.String()
		}
	case err != nil && run.complaint == "": // it ended without reading all its input, or could not be started
		run.unfit = "ffmpeg: " + err.Error()
	}
	return run, nil
}

// noDecoder matches complaints that are about ffmpeg's build or version, not about the media.
var noDecoder = regexp.MustCompile(`(?i)(decoder|codec).*(not found|none|unknown|disabled)|unknown decoder|unrecognized option|option not found|unknown input format`)

// lastFrame matches the frame counter of ffmpeg's progress reports.
var lastFrame = regexp.MustCompile(`(?m)^frame=\s*(\d+)\s*$`)

// frames returns the last frame count of a progress report.
func frames(progress string) int {
	all := lastFrame.FindAllStringSubmatch(progress, -1)
	if len(all) == 0 {
		return 0
	}
	n, err := strconv.Atoi(all[len(all)-1][1])
	if err != nil {
		return 0
	}
	return n
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	const most = 200
	if len(line) > most {
		line = line[:most] + "…"
	}
	return strings.ToValidUTF8(line, "?")
}

// tail keeps the last maxOutput bytes written to it and takes all, so that the writer never blocks.
type tail struct{ bytes.Buffer }

// Write drops the oldest bytes where there are too many.
func (t *tail) Write(b []byte) (int, error) {
	n := len(b)
	_, _ = t.Buffer.Write(b)
	if over := t.Len() - maxOutput; over > 0 {
		t.Next(over)
	}
	return n, nil
}
