// Package rig is what the measuring programs of bench/ share: an installation on loopback whose server is a process of its
// own, so that it can be measured and killed; the handset as its carriers, behind a tap that sees every call; and people
// who sign in over HTTP.
//
// A program that uses it must call [Child] first in main: the server is the same program, started again.
package rig
