package content_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"keyflow/drm/content"
)

// script writes a shell script that stands for ffmpeg and returns how it is found.
func script(t *testing.T, body string) func(string) (string, error) {
	t.Helper()
	const shell = "/bin/sh"
	if _, err := os.Stat(shell); err != nil {
		t.Skip("no shell to stand for ffmpeg:", err)
	}
	file := filepath.Join(t.TempDir(), "ffmpeg")
	if err := os.WriteFile(file, []byte("#!"+shell+"\n"+body+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return func(string) (string, error) { return file, nil }
}

func hanging(t *testing.T) func(string) (string, error) {
	return script(t, "exec sleep 60")
}

// TestProveByWordOfFFmpeg checks what is made of what ffmpeg does: only a run without complaint that gives all frames
// proves, and a run that fails for reasons of its own says nothing.
func TestProveByWordOfFFmpeg(t *testing.T) {
	t.Parallel()
	x := tracks(t)["SD"]
	const drain = "cat >/dev/null\n"
	for name, c := range map[string]struct {
		body string
		want content.Outcome
		seen string
	}{
		"all frames":        {drain + "echo frame=7; echo progress=continue; echo frame=50; echo progress=end", content.Proved, "50 frames"},
		"a frame missing":   {drain + "echo frame=49", content.Disproved, "49 frames"},
		"a frame too many":  {drain + "echo frame=51", content.Disproved, "51 frames"},
		"silence":           {drain, content.Disproved, "0 frames"},
		"complaint":         {drain + "echo frame=50; echo 'error while decoding MB 1 2' >&2", content.Disproved, "error while decoding"},
		"failure":           {drain + "echo frame=50; exit 69", content.Disproved, "exit status 69"},
		"no decoder":        {"echo 'Decoder (codec h264) not found for input stream #0:0' >&2; exit 1", content.Unverifiable, "Decoder (codec h264)"},
		"too old":           {"echo \"Unrecognized option 'xerror'.\" >&2; exit 1", content.Unverifiable, "Unrecognized option"},
		"killed":            {"kill -9 $$", content.Unverifiable, "killed"},
		"floods its output": {drain + "i=0; while [ $i -lt 20000 ]; do echo 'error error error error error error'; i=$((i+1)); done >&2; exit 1", content.Disproved, "error error"},
		"not a program":     {"", content.Unverifiable, "ffmpeg: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			find := script(t, c.body)
			if name == "not a program" {
				find = func(string) (string, error) { return filepath.Join(t.TempDir(), "nothing"), nil }
			}
			p, err := content.Prover{LookPath: find}.Prove(t.Context(), x.media(0, false), license(x.KID, x.Key))
			if err != nil || p.Outcome != c.want || !strings.Contains(p.Seen, c.seen) {
				t.Errorf("%+v, %v; want %s, %q seen", p, err, c.want, c.seen)
			}
			if len(p.Seen) > 300 {
				t.Errorf("%d bytes seen", len(p.Seen))
			}
		})
	}
}
