package isolationtest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/tenant"
)

// seeds is how many notes, with one tag each, a guest has at first. Their IDs are
// 1 to seeds for every guest.
const seeds = 5

// guest is a tenant made for one clause.
type guest struct{ tenant.Tenant }

func newGuest() guest {
	id := tenant.NewID()
	return guest{tenant.Tenant{ID: id, Slug: "g" + string(id[:8]), Name: "Guest", Status: tenant.StatusActive, Version: 1}}
}

// in returns ctx for g.
func (g guest) in(ctx context.Context) context.Context { return tenant.NewContext(ctx, g.Tenant) }

// mark returns text which shows that it is g's.
func (g guest) mark(text string) string { return string(g.ID) + "|" + text }

// note returns the body of g's n-th note, tag its tag's name.
func (g guest) note(n int) string { return g.mark("note " + strconv.Itoa(n)) }
func (g guest) tag(n int) string  { return g.mark("tag " + strconv.Itoa(n)) }

// everything returns what the query of this name must find, sorted.
func (g guest) everything() []string {
	var marks []string
	for n := 1; n <= seeds; n++ {
		marks = append(marks, g.note(n)+" 0", g.tag(n), g.tag(n)) // a tag is in its table and in the view
	}
	slices.Sort(marks)
	return marks
}

// title returns the title of the n-th note, the same for every guest.
func title(n int) string { return "title " + strconv.Itoa(n) }

// owns returns an error wrapping ErrLeak unless g made the mark.
func (g guest) owns(mark string) error {
	if !strings.HasPrefix(mark, string(g.ID)+"|") {
		return fmt.Errorf("%w: tenant %s read %q", ErrLeak, g.ID, mark)
	}
	return nil
}

// invite provisions n tenants and writes their seeds, each through a pool of its
// own, so that a clause begins with connections that were nobody's.
func (s *suite) invite(ctx context.Context, n int) ([]guest, error) {
	return s.welcome(ctx, n, func(g guest) error {
		own, err := s.another(isolation.MaxConns(1))
		if err != nil {
			return err
		}
		return errors.Join(own.seed(ctx, g), own.db.Close())
	})
}

// crowd provisions n tenants and writes their seeds through the clause's pool,
// which is faster than invite.
func (s *suite) crowd(ctx context.Context, n int) ([]guest, error) {
	return s.welcome(ctx, n, func(g guest) error { return s.seed(ctx, g) })
}

func (s *suite) welcome(ctx context.Context, n int, seed func(guest) error) ([]guest, error) {
	guests := make([]guest, n)
	for i := range guests {
		g := newGuest()
		guests[i] = g
		if err := s.admit(ctx, g); err != nil {
			return nil, err
		}
		if err := seed(g); err != nil {
			return nil, fmt.Errorf("writing the seeds of tenant %s: %w", g.ID, err)
		}
	}
	return guests, nil
}

// pair invites two tenants.
func (s *suite) pair(ctx context.Context) (a, b guest, err error) {
	guests, err := s.invite(ctx, 2)
	if err != nil {
		return guest{}, guest{}, err
	}
	return guests[0], guests[1], nil
}

// admit provisions g, to be deprovisioned at the end of the clause.
func (s *suite) admit(ctx context.Context, g guest) error {
	s.guests = append(s.guests, g)
	if err := s.Provision(ctx, g.Tenant); err != nil {
		return fmt.Errorf("provisioning tenant %s: %w", g.ID, err)
	}
	return nil
}

// seed writes g's notes and tags in one transaction.
func (s *suite) seed(ctx context.Context, g guest) error {
	return s.inTx(g.in(ctx), func(tx *sql.Tx) error {
		for n := 1; n <= seeds; n++ {
			if err := s.addNote(ctx, tx, g, n); err != nil {
				return err
			}
			if err := s.affect(ctx, tx, g, 1, "INSERT INTO tags (note_id, name) VALUES (?, ?)", n, g.tag(n)); err != nil {
				return err
			}
		}
		return nil
	})
}

// addNote writes g's n-th note.
func (s *suite) addNote(ctx context.Context, db database, g guest, n int) error {
	return s.affect(ctx, db, g, 1, "INSERT INTO notes (id, title, body) VALUES (?, ?, ?)", n, title(n), g.note(n))
}

// inTx runs do in a transaction of ctx's tenant.
func (s *suite) inTx(ctx context.Context, do func(tx *sql.Tx) error) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("beginning a transaction: %w", err)
	}
	defer func() { _ = tx.Rollback() }() // an error after Commit
	if err := do(tx); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("committing: %w", err)
	}
	return nil
}
