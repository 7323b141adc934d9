//go:build browser

package triage_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// firefox is Firefox with its developer tools open, told what to do by its own remote protocol, Marionette: JSON texts, each after its
// length in bytes and a colon.
type firefox struct {
	conn    net.Conn
	answers *bufio.Reader
	last    int // the number of the last command
}

func startFirefox(t *testing.T) tab {
	t.Helper()
	program := ""
	for _, name := range []string{"firefox-esr", "firefox"} {
		if path, err := exec.LookPath(name); err == nil {
			program = path
			break
		}
	}
	if program == "" {
		t.Skip("firefox is not installed")
	}
	home, port := t.TempDir(), freePort(t)
	settings := fmt.Sprintf(`user_pref("marionette.port", %d);
user_pref("devtools.netmonitor.persistlog", true);
user_pref("browser.shell.checkDefaultBrowser", false);
user_pref("datareporting.policy.dataSubmissionEnabled", false);
user_pref("app.normandy.enabled", false);
user_pref("app.update.enabled", false);
user_pref("browser.aboutwelcome.enabled", false);
`, port)
	if err := os.WriteFile(filepath.Join(home, "user.js"), []byte(settings), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	c := exec.CommandContext(ctx, program, "--headless", "--no-remote", "--marionette", "--remote-allow-system-access", "-profile", home)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = c.Wait() // it was killed
	})
	f := &firefox{}
	for end := time.Now().Add(patience); f.conn == nil; time.Sleep(200 * time.Millisecond) {
		var err error
		if f.conn, err = new(net.Dialer).DialContext(t.Context(), "tcp", "127.0.0.1:"+strconv.Itoa(port)); err != nil && time.Now().After(end) {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { _ = f.conn.Close() })
	f.answers = bufio.NewReader(f.conn)
	wait, stop := context.WithTimeout(t.Context(), patience)
	defer stop()
	if err := f.begin(wait); err != nil {
		t.Fatal(err)
	}
	return f
}

// begin begins to command, and opens the network tool beside the first page.
func (f *firefox) begin(ctx context.Context) error {
	if _, err := f.read(ctx); err != nil { // it says what it is
		return err
	}
	if _, err := f.command(ctx, "WebDriver:NewSession", map[string]any{"capabilities": map[string]any{}}); err != nil {
		return err
	}
	_, err := f.fresh(ctx)
	return err
}

// fresh opens the network tool anew: it does not tell all of requests that are below the part of its list that is shown.
func (f *firefox) fresh(ctx context.Context) (bool, error) {
	_, err := f.evaluate(ctx, "chrome", `(async () => {
		if (window.tools) await window.tools.destroy();
		const {require} = ChromeUtils.importESModule("resource://devtools/shared/loader/Loader.sys.mjs");
		const {gDevTools} = require("devtools/client/framework/devtools");
		window.tools = await gDevTools.showToolboxForTab(gBrowser.selectedTab, {toolId: "netmonitor"});
		return "";
	})()`)
	return true, err
}

func (f *firefox) open(ctx context.Context, url string) error {
	if _, err := f.command(ctx, "Marionette:SetContext", map[string]any{"value": "content"}); err != nil {
		return err
	}
	_, err := f.command(ctx, "WebDriver:Navigate", map[string]any{"url": url})
	return err
}

func (f *firefox) run(ctx context.Context, expression string) (string, error) {
	return f.evaluate(ctx, "content", expression)
}

func (f *firefox) archive(ctx context.Context) ([]byte, error) {
	text, err := f.evaluate(ctx, "chrome", `window.tools.getHARFromNetMonitor().then(log => JSON.stringify({log}))`)
	return []byte(text), err
}

func (f *firefox) settles() time.Duration { return time.Second }

// evaluate has a page, or the browser's own window ("chrome"), evaluate a promise of a text.
func (f *firefox) evaluate(ctx context.Context, where, expression string) (string, error) {
	if _, err := f.command(ctx, "Marionette:SetContext", map[string]any{"value": where}); err != nil {
		return "", err
	}
	result, err := f.command(ctx, "WebDriver:ExecuteAsyncScript", map[string]any{
		"script": "const done = arguments[arguments.length - 1]; (" + expression + `).then(x => done("=" + x), e => done("!" + e));`, "args": []any{}, "newSandbox": false,
	})
	if err != nil {
		return "", err
	}
	var value struct{ Value string }
	if err := json.Unmarshal(result, &value); err != nil {
		return "", err
	}
	if text, ok := strings.CutPrefix(value.Value, "="); ok {
		return text, nil
	}
	return "", errors.New(value.Value)
}

func (f *firefox) command(ctx context.Context, name string, parameters map[string]any) (json.RawMessage, error) {
	f.last++
	text, err := json.Marshal([]any{0, f.last, name, parameters})
	if err != nil {
		return nil, err
	}
	if _, err := fmt.Fprintf(f.conn, "%d:%s", len(text), text); err != nil {
		return nil, err
	}
	text, err = f.read(ctx)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	var answer [4]json.RawMessage // a type, the command's number, an error, a result
	if err := json.Unmarshal(text, &answer); err != nil {
		return nil, err
	}
	if string(answer[2]) != "null" {
		return nil, fmt.Errorf("%s: %s", name, answer[2])
	}
	return answer[3], nil
}

// read reads one text.
func (f *firefox) read(ctx context.Context) ([]byte, error) {
	end, _ := ctx.Deadline() // all callers have one
	if err := f.conn.SetReadDeadline(end); err != nil {
		return nil, err
	}
	length, err := f.answers.ReadString(':')
	if err != nil {
		return nil, err
	}
	n, err := strconv.Atoi(strings.TrimSuffix(length, ":"))
	if err != nil || n < 0 || n > 64<<20 {
		return nil, fmt.Errorf("a length of %q", length)
	}
	text := make([]byte, n)
	_, err = io.ReadFull(f.answers, text)
	return text, err
}
