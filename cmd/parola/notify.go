package main

import (
	"net"
	"strings"
)

// tellManager says how far the server is to a service manager that asked to hear it by NOTIFY_SOCKET (sd_notify(3)):
// READY=1, STOPPING=1. There is nobody to tell of a failure; a manager that hears nothing gives up by itself.
func (c *invocation) tellManager(state string) {
	if c.LookupEnv == nil {
		return
	}
	path, _ := c.LookupEnv("NOTIFY_SOCKET")
	if path == "" {
		return
	}
	if abstract, is := strings.CutPrefix(path, "@"); is {
		path = "\x00" + abstract // the kernel's spelling
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return
	}
	defer conn.Close()
	_, _ = conn.Write([]byte(state))
}
