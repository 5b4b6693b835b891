package isolationtest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/tenancy-go/tenancy/isolation"
)

var sizeClauses = []clause{
	{name: "a tenant's size is that of its own data", needs: hasSize, check: checkSize},
}

func hasSize(t Target) bool { return t.Size != nil }

const (
	written = 1 << 20 // bytes of a note
	noise   = 200_000 // by which a size may differ for other reasons
)

func checkSize(ctx context.Context, s *suite) error {
	a, b, err := s.pair(ctx)
	if err != nil {
		return err
	}
	before, err := s.sizes(ctx, a, b)
	if err != nil {
		return err
	}
	secret := make([]byte, written/2)
	_, _ = rand.Read(secret)
	const write = "UPDATE notes SET body = ? WHERE id = 1"
	if err := s.affect(ctx, s.db, a, 1, write, a.mark(hex.EncodeToString(secret))); err != nil {
		return err
	}
	after, err := s.sizes(ctx, a, b)
	if err != nil {
		return err
	}
	if grown := after[0] - before[0]; grown < written/2 || grown > 4*written {
		return fmt.Errorf("tenant %s grew by %d bytes when it wrote %d", a.ID, grown, written)
	}
	if grown := after[1] - before[1]; grown < -noise || grown > noise {
		return fmt.Errorf("%w: tenant %s grew by %d bytes when another wrote %d", ErrLeak, b.ID, grown, written)
	}
	if _, err := s.Size(ctx, newGuest().Tenant); !s.Shared && !errors.Is(err, isolation.ErrNotProvisioned) {
		return wantErr("the size of a tenant without a home", err, isolation.ErrNotProvisioned)
	}
	bad := a.Tenant
	bad.ID = "../" + bad.ID
	_, err = s.Size(ctx, bad)
	if err := wantAnyErr("the size of a malformed tenant", err); err != nil {
		return err
	}
	if err := s.affect(ctx, s.db, a, 1, write, a.note(1)); err != nil {
		return err
	}
	return s.intact(ctx, a, b)
}

func (s *suite) sizes(ctx context.Context, guests ...guest) ([]int64, error) {
	sizes := make([]int64, len(guests))
	for i, g := range guests {
		var err error
		if sizes[i], err = s.Size(ctx, g.Tenant); err != nil {
			return nil, fmt.Errorf("the size of tenant %s: %w", g.ID, err)
		}
		if sizes[i] <= 0 {
			return nil, fmt.Errorf("tenant %s takes %d bytes, and has data", g.ID, sizes[i])
		}
	}
	return sizes, nil
}
