package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/parola-id/parola/idp/password"
	"github.com/parola-id/parola/internal/clock"
	"github.com/parola-id/parola/internal/secret"
	"github.com/parola-id/parola/storage"
	"github.com/parola-id/parola/storage/postgres"
	"github.com/parola-id/parola/storage/sqlite"
)

// yardstick is what a thing costs on this machine that no provider can do for less. Times are in milliseconds.
type yardstick struct {
	Name string `json:"name"`
	// CPU is the processor time of one, Wall how long one takes.
	CPU  float64 `json:"cpu_ms"`
	Wall float64 `json:"wall_ms"`
}

// repeat does a thing for about a second and reads the clock of the processes that do it.
func repeat(name string, clock func() (time.Duration, error), do func() error) (yardstick, error) {
	before, err := clock()
	if err != nil {
		return yardstick{}, err
	}
	began, n := time.Now(), 0
	for ; time.Since(began) < time.Second; n++ {
		if err := do(); err != nil {
			return yardstick{}, fmt.Errorf("%s: %w", name, err)
		}
	}
	took := time.Since(began)
	after, err := clock()
	return yardstick{Name: name, CPU: ms(after-before) / float64(n), Wall: ms(took) / float64(n)}, err
}

// rusageThread is RUSAGE_THREAD of getrusage(2), which package syscall lacks.
const rusageThread = 1

// ownTime is the processor time of this process, threadTime that of this thread.
func ownTime() (time.Duration, error)    { return usage(syscall.RUSAGE_SELF) }
func threadTime() (time.Duration, error) { return usage(rusageThread) }

func usage(who int) (time.Duration, error) {
	var u syscall.Rusage
	err := syscall.Getrusage(who, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), err
}

// argon2id is one hash as the server makes it, by the same code: alone on the machine, and while all other cores are busy,
// as they are under load, where it may cost more: cores share caches, and some are halves of one.
func argon2id(ctx context.Context) (alone, busy yardstick, err error) {
	root := make([]byte, secret.RootSize)
	rand.Read(root)
	keys, err := secret.New(root)
	if err != nil {
		return alone, busy, err
	}
	h := password.New(password.Config{Keys: keys, Clock: clock.System{}})
	hash := func() error {
		_, err := h.HashSecret(ctx, "tulip harbour lantern")
		return err
	}
	if alone, err = repeat("one argon2id (19 MiB, t=2, p=1)", ownTime, hash); err != nil {
		return alone, busy, err
	}
	others, stop := occupy(runtime.NumCPU() - 1)
	defer stop()
	busy, err = repeat("one argon2id, the other cores busy", func() (time.Duration, error) {
		all, err := ownTime()
		return all - others(), err
	}, hash)
	return alone, busy, err
}

// occupy keeps cores busy until stop is called. spent is the processor time that goes into that.
func occupy(cores int) (spent func() time.Duration, stop func()) {
	var total atomic.Int64
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for range cores {
		all.Go(func() {
			runtime.LockOSThread() // the clock below is the thread's
			defer runtime.UnlockOSThread()
			work := make([]byte, 64<<10)
			last, _ := threadTime()
			for ctx.Err() == nil {
				sum := sha256.Sum256(work)
				copy(work, sum[:])
				now, _ := threadTime()
				total.Add(int64(now - last))
				last = now
			}
		})
	}
	return func() time.Duration { return time.Duration(total.Load()) }, func() { cancel(); all.Wait() }
}

// es256 is one signature.
func es256() (yardstick, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return yardstick{}, err
	}
	digest := sha256.Sum256([]byte("the signing input of a token"))
	return repeat("one ES256 signature", ownTime, func() error {
		_, err := ecdsa.SignASN1(rand.Reader, key, digest[:])
		return err
	})
}

// sqliteRow is one committed row, on disk when it returns.
func sqliteRow(ctx context.Context, dir string) (yardstick, error) {
	store, err := sqlite.Open(ctx, sqlite.Config{Path: filepath.Join(dir, "yardstick.db")})
	if err != nil {
		return yardstick{}, err
	}
	defer store.Close()
	return row(ctx, "one committed row, SQLite (synchronous=FULL)", store, ownTime)
}

// postgresRow is the same; what this process takes for it counts too.
func postgresRow(ctx context.Context, dsn string, processes []int) (yardstick, error) {
	store, err := postgres.Open(ctx, postgres.Config{DSN: dsn, Connections: 1})
	if err != nil {
		return yardstick{}, err
	}
	defer store.Close()
	return row(ctx, "one committed row, PostgreSQL (fsync=on)", store, func() (time.Duration, error) {
		theirs, err := cpu(processes)
		if err != nil {
			return 0, err
		}
		ours, err := ownTime()
		return ours + theirs, err
	})
}

func row(ctx context.Context, name string, store interface {
	storage.Transactor
	storage.Leases
	Migrate(context.Context) ([]int64, error)
}, clock func() (time.Duration, error)) (yardstick, error) {
	if _, err := store.Migrate(ctx); err != nil {
		return yardstick{}, err
	}
	return repeat(name, clock, func() error {
		now := time.Now()
		return store.InTx(ctx, func(ctx context.Context) error {
			taken, err := store.AcquireLease(ctx, "yardstick-"+storage.NewID(), "load", now, now.Add(time.Hour))
			if err == nil && !taken {
				err = errors.New("a new row was there already")
			}
			return err
		})
	})
}
