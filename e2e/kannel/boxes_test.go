package kannel

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/parola-id/parola/e2e/harness"
	"github.com/parola-id/parola/mfa"
	"github.com/parola-id/parola/mfa/sms"
	"github.com/parola-id/parola/storage/storagetest"
)

// deniedNumber begins with what the link of configuration does not take.
const deniedNumber = "+447400123456"

// configuration of a Kannel with one link. It repeats receipts that are not answered with success, and soon, and what
// waits for the link is tried again every second.
const configuration = `
group = core
admin-port = %[1]d
admin-interface = 127.0.0.1
admin-password = admin
status-password = status
smsbox-port = %[2]d
smsbox-interface = 127.0.0.1
box-deny-ip = "*.*.*.*"
box-allow-ip = "127.0.0.1"
store-type = file
store-location = "%[5]s/store"
dlr-storage = internal
sms-resend-freq = 1

group = smsc
smsc = fake
smsc-id = FAKE
host = 127.0.0.1
port = %[3]d
connect-allow-ip = "127.0.0.1"
denied-prefix = "+44"

group = smsbox
smsbox-id = box
bearerbox-host = 127.0.0.1
bearerbox-port = %[2]d
sendsms-port = %[4]d
sendsms-interface = 127.0.0.1
sendsms-chars = "0123456789+"
http-request-retry = 3
http-queue-delay = 1

group = sendsms-user
username = parola
password = sendsms
user-allow-ip = "127.0.0.1"
user-deny-ip = "*.*.*.*"
max-messages = 3
concatenation = true

group = sms-service
keyword = default
max-messages = 0
text = ""
`

// quiet is a level of -v that leaves the boxes' dumps of every octet out of the output of a failed test.
const quiet = "1"

// kannel is a bearerbox with its smsbox, and our channel to them.
type kannel struct {
	channel *sms.Kannel
	config  sms.KannelConfig
	text    string // what is sent
	admin   string
	link    int // the port that a message centre connects to

	calls  atomic.Int64 // receipts that came
	refuse atomic.Int64 // how many of the next ones cannot be stored

	mu       sync.Mutex
	received []mfa.Report
}

// start runs a Kannel of its own until the test ends.
func start(t *testing.T) *kannel {
	t.Helper()
	t.Parallel() // most of a test's time is the boxes' own
	bearerbox, err1 := program("bearerbox", "/usr/sbin/bearerbox")
	smsbox, err2 := program("smsbox", "/usr/sbin/smsbox")
	if _, err3 := os.Stat(fakesmsc); err1 != nil || err2 != nil || err3 != nil {
		storagetest.SkipLoudly(t, "KANNEL IS NOT TESTED: it is not here", "apt-get install kannel kannel-extras")
	}
	ports, dir := freePorts(t, 4), t.TempDir()
	file := filepath.Join(dir, "kannel.conf")
	text := fmt.Sprintf(configuration, ports[0], ports[1], ports[2], ports[3], dir)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	k := &kannel{text: "123456", link: ports[2], admin: "http://127.0.0.1:" + strconv.Itoa(ports[0]) + "/status.txt?password=status"}

	var handler http.Handler
	receipts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler.ServeHTTP(w, r) }))
	t.Cleanup(receipts.Close)
	k.config = sms.KannelConfig{
		Config: sms.Config{
			BaseURL: "http://127.0.0.1:" + strconv.Itoa(ports[3]) + "/cgi-bin/sendsms", CallbackURL: receipts.URL + "/webhooks/sms/kannel",
			Text: func(string, string) (string, error) { return k.text, nil },
		},
		Username: "parola", Password: "sendsms", From: "Parola", CallbackSecrets: []string{"receipt secret"},
	}
	k.channel = k.make(t, func(*sms.KannelConfig) {})
	handler = k.channel.Handler(k.receive)

	harness.Start(t, nil, bearerbox, "-v", quiet, file)
	within(t, "bearerbox", func() bool { return k.status() != "" }, func() any { return k.status() })
	harness.Start(t, nil, smsbox, "-v", quiet, file)
	k.waitForStatus(t, "smsbox:box")
	within(t, "sendsms", func() bool { return listens(ports[3]) }, func() any { return k.status() })
	return k
}

func (k *kannel) make(t *testing.T, change func(*sms.KannelConfig)) *sms.Kannel {
	t.Helper()
	c := k.config
	change(&c)
	channel, err := sms.NewKannel(c)
	if err != nil {
		t.Fatal(err)
	}
	return channel
}

// status is Kannel's own page about itself, empty when it does not answer.
func (k *kannel) status() string {
	resp, err := http.Get(k.admin)
	if err != nil {
		return ""
	}
	defer resp.Body.Close()
	page, err := io.ReadAll(resp.Body)
	if err != nil {
		return ""
	}
	return string(page)
}

const fakesmsc = "/usr/lib/kannel/test/fakesmsc"

// messageCenter is what Kannel's link leads to. It prints what it gets.
type messageCenter struct{ *harness.Process }

func (k *kannel) connect(t *testing.T) *messageCenter {
	t.Helper()
	c := &messageCenter{harness.Start(t, nil, fakesmsc, "-H", "127.0.0.1", "-r", strconv.Itoa(k.link), "-m", "0", "1 2 text unused")}
	k.waitForStatus(t, "(online")
	return c
}

func program(name, path string) (string, error) {
	if found, err := exec.LookPath(name); err == nil {
		return found, nil
	}
	return exec.LookPath(path)
}

// freePorts asks the system for ports that nobody uses now.
func freePorts(t *testing.T, n int) []int {
	t.Helper()
	var ports []int
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports
}

func listens(port int) bool {
	c, err := net.Dial("tcp", "127.0.0.1:"+strconv.Itoa(port))
	if err != nil {
		return false
	}
	return c.Close() == nil
}
