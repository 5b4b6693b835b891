package inspect

import (
	"context"
	"database/sql"
)

// RunIn is Run within a transaction, in which a test has planted something.
func RunIn(ctx context.Context, tx *sql.Tx, target Target, opts ...Option) (*Report, error) {
	c, err := configure(target, opts)
	if err != nil {
		return nil, err
	}
	return c.run(ctx, tx, target)
}
