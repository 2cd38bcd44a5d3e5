package rig

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/pprof"
)

// obey lets the program that started this server have a part of its run profiled: a line names the file of a CPU profile
// to begin, an empty line ends it, and each is answered by a line, which is empty when it was done. It returns at the end
// of in, which is the end of that program.
func obey(in io.Reader, out io.Writer) {
	var file *os.File
	for lines := bufio.NewScanner(in); lines.Scan(); {
		var err error
		switch name := lines.Text(); {
		case name != "":
			if file, err = os.Create(name); err == nil {
				err = pprof.StartCPUProfile(file)
			}
		case file != nil:
			pprof.StopCPUProfile()
			err = file.Close()
		}
		said := ""
		if err != nil {
			said = err.Error()
		}
		if _, err := fmt.Fprintln(out, said); err != nil {
			return
		}
	}
}

// StartProfile begins a CPU profile of the server; EndProfile writes it to the file.
func (s *Server) StartProfile(file string) error { return s.order(file) }

// EndProfile ends the CPU profile.
func (s *Server) EndProfile() error { return s.order("") }

func (s *Server) order(line string) error {
	if _, err := fmt.Fprintln(s.orders, line); err != nil {
		return err
	}
	said, err := s.answers.ReadString('\n')
	if err != nil {
		return err
	}
	if said != "\n" {
		return errors.New("profile the server: " + said[:len(said)-1])
	}
	return nil
}
