package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"keyflow/drm/pssh"
)

// maxInspect bounds what inspect reads, in bytes.
const maxInspect = 64 << 20

func (a *app) inspectCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "inspect {FILE | BASE64 | -}",
		Short: "Show the pssh boxes of an MPD or a segment, a box in base64 or hex, or a PlayReady message",
		Long: `inspect shows every pssh box and default_KID with its place: MPD (per Period and AdaptationSet), init or media
segment, boxes one after another, raw or as text. Widevine data and PlayReady objects, the MPD's mspr:pro among them, are
decoded, other systems are named.

Of PlayReady it shows key requests as well, bare or as a CDM hands them out, and what license servers answer: responses with
each license and what that allows and demands, and faults. A license alone may be given raw or in base64. Nothing is decrypted;
custom data and wrapped keys are told by their length only.

An argument that is no file is read as the box or license itself; - reads standard input.`,
		Example: `  keyflow inspect stream.mpd
  keyflow inspect init.mp4 --json
  keyflow inspect AAAAMnBzc2gAAAAA7e+LqXnWSs6jyCfc1R0h7QAAABISEAABAgMEBQYHCAkKCwwNDg8=
  keyflow inspect challenge.xml                  a PlayReady key request
  curl … | keyflow inspect -                     what a PlayReady license server answers
  keyflow inspect license.xmr --json             a PlayReady license`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usage(errors.New("inspect takes one argument: a file, a box or license as text, or -"), "keyflow inspect --help shows examples")
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error { return a.inspect(c.InOrStdin(), args[0], asJSON) },
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func (a *app) inspect(stdin io.Reader, arg string, asJSON bool) error {
	name, data, err := readInput(stdin, arg)
	if err != nil {
		return err
	}
	if kind := messageKind(data); kind != "" {
		return a.inspectMessage(name, kind, data, asJSON)
	}
	found, err := pssh.Find(name, data)
	view := viewOf(found)
	if asJSON {
		if jsonErr := a.printJSON(view); jsonErr != nil {
			return jsonErr
		}
	} else {
		a.printInspected(view)
	}
	if err != nil {
		hint := "give an MPD, an init or media segment, or a pssh box"
		var p *pssh.Error
		if errors.As(err, &p) && p.Hint != "" {
			hint = p.Hint
		}
		return usage(err, hint)
	}
	return nil
}

// readInput returns the bytes that the argument names: standard input, a file, or its own text.
func readInput(stdin io.Reader, arg string) (string, []byte, error) {
	if arg == "-" {
		data, err := readAll(stdin)
		return "standard input", data, err
	}
	f, err := os.Open(arg)
	switch {
	case err == nil:
		defer f.Close()
		data, err := readAll(f)
		return arg, data, err
	case looksLikeText(arg) && (errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ENAMETOOLONG) || errors.Is(err, syscall.ENOTDIR)):
		return "argument", []byte(arg), nil
	default:
		return "", nil, usage(fmt.Errorf("inspect: %w", err), "name a file, or give a box in base64 or hex")
	}
}

// looksLikeText tells a box as text from the name of a file that is not there: boxes have at least 32 bytes.
func looksLikeText(arg string) bool {
	return len(arg) >= 43 && !strings.ContainsAny(arg, `.\`)
}

func readAll(r io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxInspect+1))
	switch {
	case err != nil:
		return nil, usage(fmt.Errorf("inspect: %w", err), "name a readable file")
	case len(data) > maxInspect:
		return nil, usage(fmt.Errorf("inspect: input is longer than %d bytes", maxInspect), "give the init segment, or the first bytes of the file")
	}
	return data, nil
}
