package app

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// h2 is a client that speaks HTTP/2 frame by frame.
type h2 struct {
	*http2.Framer
	t    *testing.T
	next uint32
	head []byte
}

func (c *crowd) h2() *h2 {
	c.t.Helper()
	config := c.tls.Clone()
	config.NextProtos = []string{"h2"}
	conn, err := tls.Dial("tcp", c.address, config)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		c.t.Fatal(err)
	}
	h := &h2{Framer: http2.NewFramer(conn, conn), t: c.t, next: 1}
	if err := h.WriteSettings(); err != nil {
		c.t.Fatal(err)
	}
	var head bytes.Buffer
	encode := hpack.NewEncoder(&head)
	for _, f := range [][2]string{{":method", "GET"}, {":scheme", "https"}, {":path", "/slow"}, {":authority", "x"}} {
		_ = encode.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]}) // to memory
	}
	h.head = head.Bytes()
	return h
}

// ask opens a stream; it fails once the server has gone.
func (h *h2) ask() (stream uint32, err error) {
	stream, h.next = h.next, h.next+2
	return stream, h.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: h.head, EndStream: true, EndHeaders: true})
}

// until reads frames until one of a kind, or the end.
func (h *h2) until(kind http2.FrameType) http2.Frame {
	for {
		f, err := h.ReadFrame()
		if err != nil {
			h.t.Fatalf("no %s came: %v", kind, err)
		}
		if f.Header().Type == kind {
			return f
		}
	}
}

func TestDOS03_StreamsOfAConnectionAreBounded(t *testing.T) {
	c := newCrowd(t, 10, true)
	defer close(c.hold)
	client := c.h2()
	settings := client.until(http2.FrameSettings).(*http2.SettingsFrame)
	if most, told := settings.Value(http2.SettingMaxConcurrentStreams); !told || most != 100 {
		t.Errorf("the server allows %d streams, want 100", most)
	}
	for range 101 {
		if _, err := client.ask(); err != nil {
			t.Fatal(err)
		}
	}
	if refused := client.until(http2.FrameRSTStream).(*http2.RSTStreamFrame); refused.ErrCode != http2.ErrCodeRefusedStream {
		t.Errorf("the stream beyond them ends with %s", refused.ErrCode)
	}
}

// A client that resets each stream as soon as it is open is within the bound of open streams all the time (CVE-2023-44487).
func TestDOS03_WhoOpensStreamsToResetThemIsSentAway(t *testing.T) {
	c := newCrowd(t, 10, true)
	defer close(c.hold)
	client := c.h2()
	gone := make(chan http2.ErrCode, 1)
	go func() { gone <- client.until(http2.FrameGoAway).(*http2.GoAwayFrame).ErrCode }()
	for range 10_000 {
		stream, err := client.ask()
		if err == nil {
			err = client.WriteRSTStream(stream, http2.ErrCodeCancel)
		}
		if err != nil {
			break // the server has had enough
		}
	}
	if code := <-gone; code != http2.ErrCodeEnhanceYourCalm {
		t.Errorf("the connection ended with %s", code)
	}
	if most := c.busiest.Load(); most > 100 {
		t.Errorf("%d requests of one connection were worked on at the same time", most)
	}
}

func TestDOS03_HeadersAreBounded(t *testing.T) {
	c := newCrowd(t, 10, false)
	caller := c.dial()
	_ = caller.SetDeadline(time.Now().Add(10 * time.Second))
	fmt.Fprintf(caller, "GET / HTTP/1.1\r\nHost: x\r\nX-Long: %s\r\n\r\n", strings.Repeat("x", 32<<10)) // it may hang up in the middle
	resp, err := http.ReadResponse(caller.in, nil)
	if err != nil || resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("32 KiB of headers: %v %v", resp, err)
	}
}
