package postgres

import (
	"testing"

	"github.com/jackc/pgx/v5"
)

func TestKEY09_ConnectionToAnotherMachineIsEncrypted(t *testing.T) {
	for dsn, want := range map[string]bool{
		"postgres://u@db.internal/parola":                      false, // sslmode=prefer would fall back to none
		"postgres://u@db.internal/parola?sslmode=disable":      false,
		"postgres://u@db.internal/parola?sslmode=allow":        false,
		"postgres://u@db.internal/parola?sslmode=require":      true,
		"postgres://u@db.internal/parola?sslmode=verify-full":  true,
		"postgres://u@10.0.0.9/parola?sslmode=disable":         false,
		"postgres://u@127.0.0.1/parola?sslmode=disable":        true,
		"postgres://u@[::1]/parola":                            true,
		"postgres://u@localhost/parola":                        true,
		"host=/run/postgresql dbname=parola":                   true,
		"host=db1,127.0.0.1 dbname=parola sslmode=disable":     false,
		"host=127.0.0.1,db2 dbname=parola sslmode=disable":     false,
		"host=db1,db2 dbname=parola sslmode=verify-full":       true,
		"postgres:///parola?host=/run/postgresql&port=5433":    true,
		"postgres://u@127.0.0.1,10.0.0.9/parola?sslmode=allow": false,
	} {
		c, err := pgx.ParseConfig(dsn)
		if err != nil {
			t.Fatalf("%s: %v", dsn, err)
		}
		if err := encrypted(c); (err == nil) != want {
			t.Errorf("%s: %v, want accepted %v", dsn, err, want)
		}
	}
}
