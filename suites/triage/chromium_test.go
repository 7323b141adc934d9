//go:build browser

package triage_test

import (
	"context"
	"fmt"
	"os/exec"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/remote"
)

// chromium is a tab of Chromium beside a tab with the developer tools that watch it: their own code writes the archive.
type chromium struct{ page, tools context.Context }

func startChromium(t *testing.T) tab {
	t.Helper()
	program, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("chromium is not installed")
	}
	port := freePort(t)
	all, cancel := chromedp.NewExecAllocator(context.Background(), append(chromedp.DefaultExecAllocatorOptions[:],
		remote.WebSocket, chromedp.ExecPath(program), chromedp.NoSandbox, chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("remote-debugging-port", fmt.Sprint(port)), chromedp.Flag("remote-allow-origins", "*"),
		chromedp.Flag("host-resolver-rules", "MAP *.invalid ~NOTFOUND"))...) // no name is asked for outside of this machine
	t.Cleanup(cancel)
	page, cancelPage := chromedp.NewContext(all)
	t.Cleanup(cancelPage)
	c := &chromium{page: page}
	if err := chromedp.Do(page); err != nil {
		t.Fatal(err)
	}
	tools, cancelTools := chromedp.NewContext(page)
	t.Cleanup(cancelTools)
	c.tools = tools
	url := fmt.Sprintf("devtools://devtools/bundled/devtools_app.html?ws=127.0.0.1:%d/devtools/page/%s&panel=network", port, chromedp.FromContext(page).Target.TargetID)
	if err := chromedp.Do(tools, chromedp.Navigate(url)); err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *chromium) open(ctx context.Context, url string) error {
	_, err := in(ctx, c.page, chromedp.Navigate(url))
	return err
}

func (c *chromium) run(ctx context.Context, expression string) (string, error) {
	return in(ctx, c.page, chromedp.Evaluate[string](expression, chromedp.EvalAwaitPromise))
}

func (c *chromium) archive(ctx context.Context) ([]byte, error) {
	text, err := in(ctx, c.tools, chromedp.Evaluate[string](`(async () => {
		const logs = await import('devtools://devtools/bundled/models/logs/logs.js');
		const har = await import('devtools://devtools/bundled/models/har/har.js');
		const quiet = {isCanceled: () => false, createSubProgress: () => quiet};
		for (const name of ['setTitle', 'setTotalWork', 'setWorked', 'incrementWorked', 'done']) quiet[name] = () => {};
		let text = '';
		await har.Writer.Writer.write({write: async part => { text += part; }}, logs.NetworkLog.NetworkLog.instance().requests(), {sanitize: false}, quiet);
		return text;
	})()`, chromedp.EvalAwaitPromise))
	return []byte(text), err
}

func (c *chromium) fresh(context.Context) (bool, error) { return false, nil }

func (c *chromium) settles() time.Duration { return 300 * time.Millisecond }

// in does something in a tab, as long as the caller waits for it.
func in[T any](ctx, tab context.Context, action chromedp.Action[T]) (T, error) {
	tab, cancel := context.WithTimeout(tab, patience)
	defer cancel()
	defer context.AfterFunc(ctx, cancel)()
	return chromedp.Run(tab, action)
}
