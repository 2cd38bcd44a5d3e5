package check

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
)

// Damage asks the database itself: whether its pages and indexes fit each other, and whether every reference leads
// somewhere. Nothing is repaired and nothing is changed.
func (d *Database) Damage(ctx context.Context) ([]string, error) {
	var damage []string
	var err error
	if d.postgres {
		damage, err = d.damageOfPostgres(ctx)
	} else {
		damage, err = d.damageOfSQLite(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("look for damage: %w", err)
	}
	return damage, nil
}

func (d *Database) damageOfSQLite(ctx context.Context) (damage []string, err error) {
	tx, err := d.db.BeginTx(ctx, nil)
	if err != nil {
		return nil, err
	}
	defer func() { _ = tx.Rollback() }() // nothing was written
	err = each(ctx, tx, "PRAGMA integrity_check", func(rows *sql.Rows) error {
		var said string
		err := rows.Scan(&said)
		if said != "ok" {
			damage = append(damage, said)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	err = each(ctx, tx, "PRAGMA foreign_key_check", func(rows *sql.Rows) error {
		var table, parent string
		var row, key sql.NullInt64
		err := rows.Scan(&table, &row, &parent, &key)
		damage = append(damage, fmt.Sprintf("row %d of %s leads to nothing in %s", row.Int64, table, parent))
		return err
	})
	return damage, err
}

// damageOfPostgres has amcheck compare every index with its table, where it is installed (postgresql-contrib). The
// extension is gone again when the transaction is rolled back.
func (d *Database) damageOfPostgres(ctx context.Context) (damage []string, err error) {
	tx, err := d.db.BeginTx(ctx, nil)
	if err != nil {
		return nil, err
	}
	defer func() { _ = tx.Rollback() }()
	var orphans []string
	// Every foreign key here is of one column.
	err = each(ctx, tx, `SELECT c.conrelid::regclass::text, a.attname, c.confrelid::regclass::text, f.attname
		FROM pg_constraint c
		JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
		JOIN pg_attribute f ON f.attrelid = c.confrelid AND f.attnum = c.confkey[1]
		WHERE c.contype = 'f'`, func(rows *sql.Rows) error {
		var table, column, parent, key string
		err := rows.Scan(&table, &column, &parent, &key)
		orphans = append(orphans, fmt.Sprintf("SELECT '%s leads to nothing in %s', count(*) FROM %s x WHERE %s IS NOT NULL AND NOT EXISTS "+
			"(SELECT 1 FROM %s p WHERE p.%s = x.%s)", table, parent, table, column, parent, key, column))
		return err
	})
	if err != nil {
		return nil, err
	}
	err = each(ctx, tx, strings.Join(orphans, " UNION ALL "), func(rows *sql.Rows) error {
		var what string
		var n int
		err := rows.Scan(&what, &n)
		if n > 0 {
			damage = append(damage, fmt.Sprintf("%s: %d rows", what, n))
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	broken, err := indexes(ctx, tx)
	return append(damage, broken...), err
}

// indexes are the findings of amcheck: the first one, since an error ends the transaction.
func indexes(ctx context.Context, tx *sql.Tx) ([]string, error) {
	var there bool
	if err := tx.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM pg_available_extensions WHERE name = 'amcheck')").Scan(&there); err != nil {
		return nil, err
	}
	if !there {
		return nil, nil
	}
	if _, err := tx.ExecContext(ctx, "CREATE EXTENSION IF NOT EXISTS amcheck"); err != nil {
		return nil, nil // only a superuser may: the references were looked at
	}
	_, err := tx.ExecContext(ctx, `SELECT bt_index_check(i.indexrelid, true)
		FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname = current_schema() AND c.relam = (SELECT oid FROM pg_am WHERE amname = 'btree') AND i.indisvalid`)
	if err != nil && ctx.Err() == nil {
		return []string{err.Error()}, nil
	}
	return nil, err
}
