package rig

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"runtime/pprof"
	"syscall"
	"time"

	"github.com/parola-id/parola/internal/app"
)

// childWord marks the arguments of a server process.
const childWord = "rig-server"

// Child runs the server if this process was started as one, and does not return then.
func Child() {
	if len(os.Args) != 4 || os.Args[1] != childWord {
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	go func() { obey(os.Stdin, os.Stdout); stop() }() // a server must not outlive the program that measures it
	if err := profiled(os.Args[3], func() error { return serve(ctx, os.Args[2]) }); err != nil {
		fmt.Fprintln(os.Stderr, "server:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// profiled runs f with a CPU profile written to a file; an empty name is none.
func profiled(file string, f func() error) error {
	if file == "" {
		return f()
	}
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	defer out.Close()
	if err := pprof.StartCPUProfile(out); err != nil {
		return err
	}
	defer pprof.StopCPUProfile()
	return f()
}

func serve(ctx context.Context, configFile string) error {
	config, err := load(configFile)
	if err != nil {
		return err
	}
	log := slog.New(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	b, err := app.Open(ctx, config, app.Options{Release: "bench", Log: log})
	if err != nil {
		return err
	}
	defer b.Close()
	a, err := app.New(ctx, b)
	if err != nil {
		return err
	}
	if err := a.Listen(ctx); err != nil {
		return err
	}
	return a.Run(ctx)
}

func load(configFile string) (app.Config, error) {
	document, err := os.ReadFile(configFile)
	if err != nil {
		return app.Config{}, err
	}
	return app.Load(app.Defaults(), document, app.Source{})
}

// Server is the provider's process.
type Server struct {
	cmd     *exec.Cmd
	orders  io.Writer
	answers *bufio.Reader
	ended   chan struct{} // closed when err is set
	err     error
}

// StartServer starts the provider and waits until it answers.
func (in *Installation) StartServer(ctx context.Context) (*Server, error) {
	s, err := in.spawn()
	if err != nil {
		return nil, err
	}
	if err := in.await(ctx, s, in.Issuer+"/.well-known/openid-configuration", 10*time.Millisecond); err != nil {
		return nil, err
	}
	return s, nil
}

// StartTimed starts the provider and tells how long it took from the start of its process to its being ready. It needs
// Options.InternalListener.
func (in *Installation) StartTimed(ctx context.Context) (*Server, time.Duration, error) {
	began := time.Now()
	s, err := in.spawn()
	if err != nil {
		return nil, 0, err
	}
	if err := in.await(ctx, s, in.Internal+"/readyz", time.Millisecond); err != nil {
		return nil, 0, err
	}
	return s, time.Since(began), nil
}

func (in *Installation) spawn() (*Server, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	s := &Server{cmd: exec.Command(self, childWord, in.configFile, in.options.Profile), ended: make(chan struct{})}
	s.cmd.Stderr = in.log
	if s.orders, err = s.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	answers, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	s.answers = bufio.NewReader(answers)
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start server: %w", err)
	}
	go func() { s.err = s.cmd.Wait(); close(s.ended) }()
	return s, nil
}

// await waits until an address answers well, and ends a server that does not come to that.
func (in *Installation) await(ctx context.Context, s *Server, address string, every time.Duration) error {
	for ctx.Err() == nil {
		select {
		case <-s.ended:
			return fmt.Errorf("the server ended at once (%v):\n%s", s.err, in.LogTail(10))
		default:
		}
		resp, err := http.Get(address)
		if err == nil {
			_, _ = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		time.Sleep(every)
	}
	s.Kill()
	return ctx.Err()
}

// PID is the process id.
func (s *Server) PID() int { return s.cmd.Process.Pid }

// Kill ends the process as a power cut would.
func (s *Server) Kill() {
	_ = s.cmd.Process.Kill() // it may have ended
	<-s.ended
}

// End stops it if it will be stopped, and kills it otherwise: for the end of a measurement.
func (s *Server) End() {
	if s.Stop() != nil {
		s.Kill()
	}
}

// Stop ends it as an operator would, and says how it took that.
func (s *Server) Stop() error {
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-s.ended:
		return s.err
	case <-time.After(30 * time.Second):
		s.Kill()
		return errors.New("the server did not stop within 30 s")
	}
}
