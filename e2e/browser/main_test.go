package browser

import (
	"context"
	"flag"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"sync"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/parola-id/parola/e2e/harness"
	"github.com/parola-id/parola/e2e/turn"
)

func TestMain(m *testing.M) {
	// Pages that are drawn and measured keep processors busy, unlike the tests that the harness has in mind; -parallel
	// on the command line comes later and wins.
	if err := flag.Set("test.parallel", strconv.Itoa(2*runtime.NumCPU())); err != nil {
		panic(err)
	}
	status := harness.Main(m, turn.Alone)
	chromium.stop()
	os.Exit(status)
}

// chromium is the one browser of the test run; every test has a profile of its own in it.
var chromium process

type process struct {
	once   sync.Once
	ctx    context.Context
	cancel context.CancelFunc
	err    error
}

// start starts the browser, or skips the test where there is none.
func (p *process) start(t *testing.T) context.Context {
	t.Helper()
	path := findChromium()
	if path == "" {
		harness.Missing(t, "no Chromium: the pages are not tested in a real browser")
	}
	p.once.Do(func() {
		options := append(chromedp.DefaultExecAllocatorOptions[:len(chromedp.DefaultExecAllocatorOptions):len(chromedp.DefaultExecAllocatorOptions)],
			chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU,
			chromedp.Flag("disable-component-update", true), chromedp.Flag("lang", "en"))
		allocator, release := chromedp.NewExecAllocator(context.Background(), options...)
		ctx, cancel := chromedp.NewContext(allocator)
		p.ctx, p.cancel = ctx, func() { cancel(); release() }
		p.err = chromedp.Do(ctx)
	})
	if p.err != nil {
		t.Fatalf("start %s: %v", path, p.err)
	}
	return p.ctx
}

func (p *process) stop() {
	if p.cancel != nil {
		p.cancel()
	}
}

func findChromium() string {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}
