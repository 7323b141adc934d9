package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"keyflow/drm/capture"
	"keyflow/drm/har"
	"keyflow/drm/pssh"
)

// maxInspect bounds what inspect reads, in bytes. HTTP archives may be longer, see [har.MaxSize].
const maxInspect = 64 << 20

// inspectFlags are the flags of inspect.
type inspectFlags struct {
	json      bool
	authority string
	entry     int // of an HTTP archive; -1: all
}

const inspectHelp = `inspect shows what is in a file, field by field, and decrypts nothing. It recognises

  content     MPD, init or media segments, pssh boxes: every box and default_KID with its place
  Widevine    license, renewal and release requests, licenses, error responses, service certificates and requests for them, client ids
  PlayReady   key requests, bare or as a CDM hands them out, responses, faults, acknowledgements, XMR licenses
  HAR         an HTTP archive of a browser: its exchanges with license services, key requests and answers in a line each

by its bytes, raw or as text. A message may be wrapped, as players and services do it: in base64 or hexadecimal digits, in a
member of a JSON document, in a field of a form.

Wrapped keys, tokens, custom data and encrypted parts are told by their length, and a fingerprint where it serves to compare. Of
an HTTP archive the values of queries, cookies, authorization and unknown headers are left out. But what is in a request
in the clear is shown: without privacy mode a Widevine request names the device, its maker and model among other things.

Certificates are verified under the vendor's root, and with --authority under that of a fake as well. An argument that is no file
is read as the message or box itself; - reads standard input.`

func (a *app) inspectCommand() *cobra.Command {
	f := inspectFlags{}
	c := &cobra.Command{
		Use:   "inspect {FILE | TEXT | -}",
		Short: "Show pssh boxes, key requests, licenses, certificates and HTTP archives, field by field",
		Long:  inspectHelp,
		Example: `  keyflow inspect stream.mpd
  keyflow inspect init.mp4 --json
  keyflow inspect AAAAMnBzc2gAAAAA7e+LqXnWSs6jyCfc1R0h7QAAABISEAABAgMEBQYHCAkKCwwNDg8=
  keyflow inspect challenge.bin                  a key request, Widevine or PlayReady
  curl … | keyflow inspect -                     what a license server answers, JSON around it or not
  keyflow inspect license.xmr --json             a PlayReady license
  keyflow inspect session.har                    the exchanges with license services in a browser's session
  keyflow inspect session.har --entry 12         one of them in full`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usage(errors.New("inspect takes one argument: a file, a box or message as text, or -"), "keyflow inspect --help shows examples")
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			if !c.Flags().Changed("entry") {
				f.entry = -1
			} else if f.entry < 0 {
				return usage(fmt.Errorf("--entry %d: want a number from 0", f.entry), "keyflow inspect FILE shows the numbers of the entries")
			}
			return a.inspect(c.InOrStdin(), args[0], f)
		},
	}
	c.Flags().BoolVar(&f.json, "json", false, "print JSON")
	c.Flags().IntVar(&f.entry, "entry", 0, "show entry `N` of an HTTP archive in full; the first is 0 (default: a summary of all)")
	c.Flags().StringVar(&f.authority, "authority", "", "`DIR` with the authority that keyflow fake --export wrote: certificates are verified under its root too")
	return c
}

func (a *app) inspect(stdin io.Reader, arg string, f inspectFlags) error {
	roots, err := namedRoots(f.authority)
	if err != nil {
		return err
	}
	in, err := openInput(stdin, arg)
	if err != nil {
		return err
	}
	defer in.file.Close()
	if in.isArchive() {
		return a.inspectArchive(in, roots, f)
	}
	if f.entry >= 0 {
		return usage(fmt.Errorf("--entry is for HTTP archives, and %q is none", in.name), "leave --entry out")
	}
	data, err := readAll(in.text)
	if err != nil {
		return err
	}
	if v := newMessage(in.name, data, roots); v != nil {
		return a.inspectMessage(v, f.json)
	}
	return a.inspectContent(in.name, data, f.json)
}

// inspectContent shows the pssh boxes of content.
func (a *app) inspectContent(name string, data []byte, asJSON bool) error {
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
		hint := "give an MPD, an init or media segment, a pssh box, a key request, what a license server answers, or an HTTP archive"
		var p *pssh.Error
		if errors.As(err, &p) && p.Hint != "" {
			hint = p.Hint
		}
		return usage(err, hint)
	}
	return nil
}

// input is what the argument names.
type input struct {
	name string
	text *bufio.Reader
	file io.Closer
}

// openInput opens standard input, a file, or the argument's own text.
func openInput(stdin io.Reader, arg string) (*input, error) {
	if arg == "-" {
		return &input{"standard input", bufio.NewReader(stdin), io.NopCloser(stdin)}, nil
	}
	f, err := os.Open(arg)
	switch {
	case err == nil:
		return &input{arg, bufio.NewReader(f), f}, nil
	case isText(arg) && (errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ENAMETOOLONG) || errors.Is(err, syscall.ENOTDIR)):
		text := strings.NewReader(arg)
		return &input{"argument", bufio.NewReader(text), io.NopCloser(text)}, nil
	default:
		return nil, usage(fmt.Errorf("inspect: %w", err), "name a file, or give a box or message in base64 or hex")
	}
}

// isText tells a box or a message as text from the name of a file that is not there: boxes have at least 32 bytes.
func isText(arg string) bool {
	if len(arg) >= 43 && !strings.ContainsAny(arg, `.\`) {
		return true
	}
	_, found := capture.Find([]byte(arg))
	return found
}

// isArchive reports whether the input is an HTTP archive, by its name or by how it begins.
func (in *input) isArchive() bool {
	begin, _ := in.text.Peek(64) // fewer bytes are no matter, and reading them again tells what is wrong
	return strings.HasSuffix(strings.ToLower(in.name), ".har") || har.Begins(begin)
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
